//! The traceback of an uncaught exception, in V1's form, with the source line
//! and a caret under the place.

use std::fmt::Write;

use super::native::{Flow, NativeReturn};
use super::thread::Uncaught;
use super::Vm;
use crate::heap::{Builtin, Style, Value};

/// One call in a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// The file as the program was given.
    pub file: String,
    /// Line in it, counted from 1.
    pub line: u32,
    /// First column of the place, in bytes, counted from 1.
    pub column: u32,
    /// Length of the place on that line, in bytes, at least 1.
    pub width: u32,
    /// Function, or `<module>`.
    pub function: String,
    /// The source line.
    pub source: String,
}

/// A name of a text, which a program may have chosen (`VirtualNamespace`): it cannot begin a line of its own.
fn on_one_line(name: &str) -> String {
    let shown = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    name.chars().map(shown).collect()
}

impl Vm {
    /// The calls an exception has come through, outermost first.
    pub fn trace_lines(&self, trace: Value) -> Vec<TraceLine> {
        let Value::Trace(trace) = trace else { return Vec::new() };
        let entries = &self.heap.traces[trace].entries;
        entries
            .iter()
            .rev()
            .map(|(code, at)| {
                let span = code.spans.get(*at as usize).copied().unwrap_or_default();
                let (line, column) = code.source.line_column(span.start);
                let text = code.source.line_text(line);
                let rest = (text.len() as u32 + 1).saturating_sub(column);
                TraceLine {
                    file: on_one_line(code.source.file()),
                    line,
                    column,
                    width: (span.end - span.start).min(rest).max(1),
                    function: self.heap.text(code.name),
                    source: String::from_utf8_lossy(text).into_owned(),
                }
            })
            .collect()
    }

    /// The whole block for an uncaught exception, as V1 writes it to stderr.
    /// `text` is `str(exception)` ([`Vm::exception_text`]).
    pub fn traceback(&self, uncaught: &Uncaught, text: &str) -> String {
        let mut out = String::from(
            "---\nUncaught exception! Following is a full traceback, and a user traceback.\nThe user traceback \
             excludes non-user modules. The most recent call is displayed last.\n\nFull debugging traceback:\n",
        );
        let lines = self.trace_lines(uncaught.trace);
        for line in &lines {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  \"{}\", line {}, in {}", line.file, line.line, line.function);
        }
        out.push_str("\nUser traceback:\n");
        for line in &lines {
            let _ = writeln!(out, "  \"{}\", line {}, in {}", line.file, line.line, line.function);
            let shown = line.source.trim_start();
            let indent = line.source.len() - shown.len();
            let before = (line.column as usize).saturating_sub(1 + indent);
            let _ = writeln!(out, "    {}", shown.trim_end());
            let _ = writeln!(out, "    {}{}", " ".repeat(before), "^".repeat(line.width as usize));
        }
        if let Some(advice) = self.advice(uncaught, text) {
            let _ = writeln!(out, "    {advice}");
        }
        let _ = writeln!(out, "\n{}\n---", self.last_line(uncaught.exception, text));
        out
    }

    /// The traceback of a session's statement, as Python's own prompt shows it.
    pub fn short_traceback(&self, uncaught: &Uncaught, text: &str) -> String {
        let mut out = String::from("Traceback (most recent call last):\n");
        for line in &self.trace_lines(uncaught.trace) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  File \"{}\", line {}, in {}", line.file, line.line, line.function);
            let _ = writeln!(out, "    {}", crate::syntax::escape(line.source.trim().as_bytes()));
        }
        if let Some(advice) = self.advice(uncaught, text) {
            let _ = writeln!(out, "    {advice}");
        }
        let _ = writeln!(out, "{}", self.last_line(uncaught.exception, text));
        out
    }

    /// What may have been meant by a name that is not defined.
    fn advice(&self, uncaught: &Uncaught, text: &str) -> Option<String> {
        if !self.heap.is_instance(uncaught.exception, Builtin::NameError.class()) {
            return None;
        }
        let name = text.strip_prefix("global ").unwrap_or(text).strip_prefix("name '")?.split('\'').next()?;
        if ["callfunc", "callargs"].contains(&name) {
            return Some(format!("a run with --simple has no `{name}`, and a program may have deleted it"));
        }
        if crate::inspect::given().any(|known| known == name) {
            return Some(format!(
                "the code of a VirtualNamespace has what its context holds: put `{name}` into it (any other has deleted it)"
            ));
        }
        let mut known: Vec<String> = crate::inspect::given().map(str::to_owned).collect();
        known.extend(self.builtin_names());
        // A name that was deleted is not what was meant instead.
        known.retain(|known| known != name);
        // Names of the program: those of the function where it happened, and of the module.
        let Value::Trace(trace) = uncaught.trace else { return None };
        let entries = &self.heap.traces[trace].entries;
        for (code, _) in entries.first().into_iter().chain(entries.last()) {
            let sites = code.globals.iter().map(|site| site.name);
            let names = code.local_names.iter().copied().chain(sites).map(|name| self.heap.text(name));
            known.extend(names.filter(|known| known != name));
        }
        policies::suggest::call(name, known.iter().map(String::as_str))
    }

    /// The last line of the block (more of them, if the text has more).
    pub fn last_line(&self, exception: Value, text: &str) -> String {
        let Value::Instance(instance) = exception else { return text.to_owned() };
        let class = self.heap.instances[instance].class;
        let data = &self.heap.classes[class];
        let name = self.heap.text(data.name);
        if class == Builtin::RunBuiltinException.class() {
            return format!("Unsafe call: {text}");
        }
        match data.style {
            Style::Builtin if data.module == "exceptions" => {
                format!("Exception (with type 'exceptions.{name}'): {text}")
            }
            Style::Old => format!("Exception (with type .{name}): {text}"),
            _ => format!("Exception (with class '{}.{name}'): {text}", data.module),
        }
    }

    /// `str(exception)` without calling program code; a `__str__` of the program is
    /// to be called by the embedder (see [`Vm::program_str`]), else its name is shown.
    pub fn exception_text(&mut self, exception: Value) -> String {
        let result: NativeReturn = crate::types::to_str(self, exception);
        match result {
            Ok(Flow::Value(value)) => {
                let text = match value {
                    Value::Str(text) => self.heap.text(text),
                    _ => String::new(),
                };
                self.heap.release(value);
                text
            }
            Ok(Flow::Call(request)) => {
                self.heap.release(request.callee);
                request.args.for_each(|value| self.heap.release(value));
                request.then.abandon(self);
                String::from("<unprintable: the exception has a __str__ of its own>")
            }
            Ok(Flow::Yield(state) | Flow::Block(Some(state))) => {
                state.abandon(self);
                String::new()
            }
            Ok(Flow::Block(None)) => String::new(),
            Err(raised) => {
                let second = self.heap.take_raised(raised);
                self.heap.release(second);
                String::from("<exception str() failed>")
            }
        }
    }
}
