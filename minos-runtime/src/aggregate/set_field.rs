//! Updates of a state that is read already, field by field, as far as the fields are known.

use serde::de::{DeserializeOwned, Error};

/// What is left of an update, from the new value of a field on.
#[doc(hidden)]
pub struct NewValue<'v>(&'v str);

/// Whether a field was set, or why it could not be.
#[doc(hidden)]
pub type WasSet = serde_json::Result<bool>;

impl<'v> NewValue<'v> {
    /// Reads the value into its place.
    ///
    /// # Errors
    /// If it is no value of the field.
    pub fn set<T: DeserializeOwned>(&mut self, place: &mut T) -> WasSet {
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter();
        *place = values.next().unwrap_or_else(|| Err(serde_json::Error::custom("the value is missing")))?;
        self.0 = self.0.get(values.byte_offset()..).unwrap_or_default();
        Ok(true)
    }

    /// Takes this, if it comes next.
    fn take(&mut self, mark: char) -> Option<()> {
        self.0 = self.0.trim_ascii_start().strip_prefix(mark)?;
        Some(())
    }

    /// A key that needs no escapes, as those of fields are.
    fn key(&mut self) -> Option<&'v str> {
        self.take('"')?;
        let (key, rest) = self.0.split_once('"')?;
        self.0 = rest;
        self.take(':')?;
        (!key.contains('\\')).then_some(key)
    }
}

/// Sets the fields that an update has stored, each by this function, which says false of a name that it does not know. False if there is such a one, as where the
/// update tells of fields that are not written any more, of what changed within sets, or is not as we write it: then it has to be applied to the whole, which says
/// what is wrong with it, too.
pub(super) fn set_fields(change: &str, set: &mut dyn FnMut(&str, &mut NewValue<'_>) -> WasSet) -> WasSet {
    let mut rest = NewValue(change);
    if rest.take('{').is_none() {
        return Ok(false);
    }
    loop {
        let Some(key) = rest.key() else { return Ok(false) };
        if !set(key, &mut rest)? {
            return Ok(false);
        }
        if rest.take(',').is_none() {
            return Ok(rest.take('}').is_some() && rest.0.trim_ascii_start().is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_set_and_the_rest_is_left_to_the_whole() {
        let read = |change: &str| {
            let (mut cents, mut note) = (0_i64, Some(String::new()));
            let done = set_fields(change, &mut |name, value| match name {
                "cents" => value.set(&mut cents),
                "note" => value.set(&mut note),
                _ => Ok(false),
            });
            done.map(|done| (done, cents, note))
        };
        let note = |text: &str| Some(text.to_owned());
        assert_eq!(read(r#"{"cents":7,"note":"a \"b\", {\"c\":1}"}"#).unwrap(), (true, 7, note("a \"b\", {\"c\":1}")));
        assert_eq!(read(" { \"note\" : null ,\n\"cents\" : -1 } ").unwrap(), (true, -1, None));
        for left in [
            "",
            "{",
            "{}",
            "[1]",
            r#"{"cents":1"#,
            r#"{"cents":1]"#,
            r#"{"cents":1}}"#,
            r#"{"cents":1,}"#,
            r#"{"cents":1,"$removed":["note"]}"#,
            r#"{"n\u006fte":"b"}"#,
            r#"{"cents" 1}"#,
        ] {
            assert!(!read(left).unwrap().0, "{left}");
        }
        for wrong in [r#"{"cents":"1"}"#, r#"{"cents":1x}"#, r#"{"cents":}"#, r#"{"cents":"#, r#"{"note":"a"#] {
            read(wrong).unwrap_err();
        }
    }
}
