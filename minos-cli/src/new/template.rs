//! Texts with places in them: `{{name}}`.

/// Fills the places of a text. Values are not looked through for places.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, behind)) = rest.split_once("{{") {
        filled += before;
        match behind.split_once("}}").and_then(|(name, rest)| Some((values.iter().find(|(known, _)| *known == name)?.1, rest))) {
            Some((value, behind)) => {
                filled += value;
                rest = behind;
            }
            // It is none of ours.
            None => {
                filled += "{{";
                rest = behind;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        assert_eq!(fill("{{a}} {{b}} {{c}} {x} {{", &[("a", "{{b}}"), ("b", "2")]), "{{b}} 2 {{c}} {x} {{");
    }
}
