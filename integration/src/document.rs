//! The fenced blocks of a Markdown document, as something that can be run.
//!
//! ```text
//! console     commands after `$ ` (continued after `> `), each followed by what it prints;
//!             a line `...` stands for any lines, `[..]` within a line for anything
//! sh          a script that ends with status 0
//! repy        a program: run under restrictions.test, or kept for later blocks with file=NAME
//! restrictions   a policy: checked, and kept with file=NAME
//! text        nothing to run
//! ```
//!
//! A block that a test cannot run says why: `not-run="REASON"` after the language.

/// One fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    /// The first word of the info string.
    pub language: String,
    /// The name after `file=`.
    pub file: Option<String>,
    /// The reason after `not-run=`.
    pub not_run: Option<String>,
    /// What is between the fences.
    pub text: String,
}

/// A command of a console block and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The command, possibly of several lines.
    pub command: String,
    /// The lines shown after it.
    pub shown: Vec<String>,
}

/// Finds the blocks of a document.
///
/// # Errors
/// A fence is not closed or names no language, or code is set by indentation, which nothing could check.
pub fn blocks(document: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut lines = document.lines().enumerate();
    let mut list = false;
    let mut blank = true;
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        if let Some(info) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let mut block = head(number, info)?;
            loop {
                let (_, line) =
                    lines.next().ok_or_else(|| format!("line {number}: this fence is never closed"))?;
                if line.trim() == "```" {
                    break;
                }
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            found.push(block);
            blank = true;
            continue;
        }
        if line.trim().is_empty() {
            blank = true;
            continue;
        }
        let indented = line.starts_with("    ");
        if indented && blank && !list {
            return Err(format!("line {number}: code set by indentation; put it between fences"));
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        if ["*", "-"].contains(&word)
            || (word.ends_with('.') && word[..word.len() - 1].parse::<u32>().is_ok())
        {
            list = true;
        } else if blank && !line.starts_with(' ') {
            list = false;
        }
        blank = false;
    }
    Ok(found)
}

fn head(line: usize, info: &str) -> Result<Block, String> {
    let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
    if language.is_empty() {
        return Err(format!("line {line}: the fence names no language"));
    }
    let after = |key: &str| rest.split_once(key).map(|(_, value)| value);
    let file = after("file=").and_then(|value| value.split_whitespace().next()).map(str::to_owned);
    let not_run = match after("not-run=") {
        None => None,
        Some(value) => match value.trim().strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
            Some(reason) if !reason.is_empty() => Some(reason.to_owned()),
            _ => return Err(format!("line {line}: not-run needs a reason in quotes")),
        },
    };
    Ok(Block { line, language: language.to_owned(), file, not_run, text: String::new() })
}

impl Block {
    /// The commands of a console block.
    ///
    /// # Errors
    /// It does not begin with a command.
    pub fn steps(&self) -> Result<Vec<Step>, String> {
        let mut steps: Vec<Step> = Vec::new();
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), shown: Vec::new() });
                continue;
            }
            let step =
                steps.last_mut().ok_or_else(|| format!("line {}: it begins without `$ `", self.line))?;
            match line.strip_prefix("> ") {
                Some(more) if step.shown.is_empty() => step.command = format!("{}\n{more}", step.command),
                _ => step.shown.push(line.trim_end().to_owned()),
            }
        }
        Ok(steps)
    }
}

/// Whether what was printed is what is shown.
pub fn agrees(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=printed.len()).any(|skip| agrees(rest, &printed[skip..]))
        }
        Some((first, rest)) => {
            printed.split_first().is_some_and(|(line, more)| line_agrees(first, line) && agrees(rest, more))
        }
    }
}

fn line_agrees(shown: &str, printed: &str) -> bool {
    let mut pieces = shown.split("[..]");
    let Some(mut rest) = pieces.next().and_then(|piece| printed.trim_end().strip_prefix(piece)) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_attributes() {
        let text = "Text\n\n* item\n\n      still the item\n\n```repy file=a.repy\nprint 1\n```\n\n```sh not-run=\"a reason\"\nls\n```\n";
        let found = blocks(text).expect("good");
        assert_eq!(found[0].file.as_deref(), Some("a.repy"));
        assert_eq!(found[0].text, "print 1\n");
        assert_eq!(found[1].not_run.as_deref(), Some("a reason"));
        for bad in ["```\nx\n```\n", "```sh\n", "```sh not-run=\"\"\n```\n", "Text\n\n    ls\n"] {
            assert!(blocks(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn output_agrees_with_what_is_shown() {
        let check = |shown: &str, printed: &str| {
            let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
            agrees(&shown, &printed.lines().collect::<Vec<_>>())
        };
        assert!(check("a\n...\nd", "a\nb\nc\nd") && check("a\n...", "a") && check("x[..]z", "x y z"));
        assert!(check("[..]z", "z") && check("a[..]", "a") && check("pid [..], port [..]", "pid 1, port 2"));
        assert!(
            !check("a", "a\nb")
                && !check("a\n...\nd", "a\nb")
                && !check("x[..]z", "x y")
                && !check("a", "ab")
        );
        assert!(check("([..], [[..]])", "(a, [b], [c])") && !check("[..]b", "b c") && !check("a[..]a", "a"));
    }
}
