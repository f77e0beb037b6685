//! A comparison as text: for a terminal, as Markdown, LaTeX, HTML and CSV.

mod csv;
mod html;
mod latex;
mod markdown;
mod sheet;
mod terminal;
