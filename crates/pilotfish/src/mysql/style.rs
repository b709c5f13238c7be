//! Colours, on a terminal that wants them and nowhere else.

use std::io::IsTerminal as _;

/// How something is to stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Doubtful,
    /// Wrong.
    Bad,
    /// A heading.
    Head,
}

/// Whether and how text is coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    coloured: bool,
}

impl Style {
    /// No colours.
    #[cfg(test)]
    pub(super) const PLAIN: Style = Style { coloured: false };

    /// That of standard output.
    pub(super) fn of_output() -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Style { coloured: std::io::stdout().is_terminal() && !unwanted && !dumb }
    }

    /// Text that stands out (ECMA-48, select graphic rendition).
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Doubtful => 33,
            Tone::Bad => 31,
            Tone::Head => 1,
        };
        if self.coloured && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Columns of text; each cell with a tone or none.
pub(super) type Cell = (String, Option<Tone>);

/// Lays rows out in columns below a heading.
pub(super) fn table(style: Style, head: &[&str], rows: &[Vec<Cell>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let heads: Vec<Cell> = head.iter().map(|name| ((*name).to_owned(), Some(Tone::Head))).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        let mut gap = 0;
        for ((cell, tone), width) in row.iter().zip(&widths) {
            line.extend(std::iter::repeat_n(' ', gap));
            line.push_str(&tone.map_or_else(|| cell.clone(), |tone| style.paint(tone, cell)));
            // What follows the last cell of a line is nothing.
            gap = width - cell.chars().count() + 2;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_they_show_and_not_as_what_colours_it() {
        let rows = [
            vec![("a".to_owned(), Some(Tone::Good)), ("long".to_owned(), None), ("x".to_owned(), None)],
            vec![("b\u{f6}".to_owned(), None), (String::new(), None), (String::new(), None)],
        ];
        let plain = table(Style::PLAIN, &["N", "B", "C"], &rows);
        assert_eq!(plain, "N   B     C\na   long  x\nb\u{f6}\n");
        let coloured = table(Style { coloured: true }, &["N", "B", "C"], &rows);
        assert!(coloured.contains("\x1b[32ma\x1b[0m   long  x\n"), "{coloured:?}");
    }
}
