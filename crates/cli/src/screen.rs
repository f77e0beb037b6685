//! Where text goes: a terminal or not, how wide, with colours or without.

use std::io::IsTerminal;

use console::{Style, Term};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// The width of what is no terminal.
const PLAIN_WIDTH: usize = 100;

#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub terminal: bool,
    /// In columns.
    pub width: usize,
    pub color: bool,
}

impl Screen {
    pub fn stdout() -> Screen {
        Screen::of(&Term::stdout(), std::io::stdout().is_terminal())
    }

    pub fn stderr() -> Screen {
        Screen::of(&Term::stderr(), std::io::stderr().is_terminal())
    }

    fn of(term: &Term, terminal: bool) -> Screen {
        let width = match term.size_checked() {
            Some((_, columns)) if terminal => usize::from(columns).max(20),
            _ => PLAIN_WIDTH,
        };
        Screen {
            terminal,
            width,
            color: wants_color(terminal, |name| std::env::var(name).ok()),
        }
    }

    /// A message with its code, causes and advice.
    pub fn render(&self, diagnostic: &dyn Diagnostic) -> String {
        let theme = if self.color {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let mut text = String::new();
        // Writing into a String cannot fail; a diagnostic that refuses to format still has a message.
        if GraphicalReportHandler::new_themed(theme)
            .with_width(self.width)
            .render_report(&mut text, diagnostic)
            .is_err()
        {
            text = format!("error: {diagnostic}\n");
        }
        text
    }

    pub fn bold(&self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.styled(Style::new().dim(), text)
    }

    pub fn green(&self, text: &str) -> String {
        self.styled(Style::new().green(), text)
    }

    pub fn yellow(&self, text: &str) -> String {
        self.styled(Style::new().yellow(), text)
    }

    pub fn red(&self, text: &str) -> String {
        self.styled(Style::new().red(), text)
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() {
            style.force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

/// `NO_COLOR` wins, then `CLICOLOR_FORCE`, then whether there is a terminal that can.
fn wants_color(terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") {
        return true;
    }
    terminal && variable("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::wants_color;

    fn with(terminal: bool, variables: &[(&str, &str)]) -> bool {
        wants_color(terminal, |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_terminal_has_colours_and_a_pipe_has_none() {
        assert!(with(true, &[("TERM", "xterm")]));
        assert!(!with(false, &[("TERM", "xterm")]));
        assert!(!with(true, &[("TERM", "dumb")]));
    }

    #[test]
    fn no_color_wins_over_everything_and_counts_only_when_not_empty() {
        assert!(!with(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(with(true, &[("NO_COLOR", "")]));
    }

    #[test]
    fn colours_can_be_forced_into_a_pipe() {
        assert!(with(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!with(false, &[("CLICOLOR_FORCE", "0")]));
    }
}
