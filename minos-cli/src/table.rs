//! Tables for people: columns as wide as what is in them.

/// A table with a headline. What is missing in a row is empty.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(headline: [&str; N]) -> Self {
        Table { rows: vec![headline.map(str::to_owned).to_vec()] }
    }

    /// One without a headline.
    pub(crate) fn bare() -> Self {
        Table { rows: Vec::new() }
    }

    /// Adds a row. A line break in a cell would break the table, so it becomes a space.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cell.replace(['\n', '\r', '\t'], " ")).to_vec());
    }

    /// The lines, each with its end.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(["NAME", "N"]);
        table.row(["ä".to_owned(), "1".to_owned()]);
        table.row(["two\nlines".to_owned(), "22".to_owned()]);
        assert_eq!(table.text(), "NAME       N\nä          1\ntwo lines  22\n");
    }
}
