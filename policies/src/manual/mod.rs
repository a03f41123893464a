//! Manual pages, made from the tables: what they say cannot differ from what is done.
//!
//! [`Roff`] is the little of `man` macros that they need.

mod restrictions;

pub use restrictions::page as restrictions;

/// A page being written.
#[derive(Debug)]
pub struct Roff(String);

impl Roff {
    /// Begins a page.
    pub fn new(title: &str, section: u8, what: &str) -> Roff {
        let name = title.to_lowercase();
        Roff(format!(
            ".TH {} {section} \"\" \"repy-launch {}\" \"Repy\"\n.SH NAME\n{} \\- {}\n",
            title.to_uppercase(),
            env!("CARGO_PKG_VERSION"),
            escape(&name),
            escape(what)
        ))
    }

    /// A heading.
    pub fn section(&mut self, title: &str) -> &mut Roff {
        self.push(&format!(".SH {}\n", escape(title)))
    }

    /// A smaller heading.
    pub fn subsection(&mut self, title: &str) -> &mut Roff {
        self.push(&format!(".SS {}\n", escape(title)))
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) -> &mut Roff {
        self.push(&format!(".PP\n{}\n", line(text)))
    }

    /// A term and what is said of it.
    pub fn item(&mut self, term: &str, text: &str) -> &mut Roff {
        self.push(&format!(".TP\n.B \"{}\"\n{}\n", escape(term).replace('"', "\\(dq"), line(text)))
    }

    /// Lines as they are.
    pub fn code(&mut self, text: &str) -> &mut Roff {
        let lines: String = text.lines().map(|text| line(text) + "\n").collect();
        self.push(&format!(".PP\n.nf\n{lines}.fi\n"))
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
    }

    fn push(&mut self, text: &str) -> &mut Roff {
        self.0.push_str(text);
        self
    }
}

/// A line of text that no macro begins.
fn line(text: &str) -> String {
    let escaped = escape(text);
    match escaped.starts_with(['.', '\'']) {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
