use super::super::{bytes, search, split, strrepr};
use super::{oracle, shown, Dice};

fn texts() -> Vec<Vec<u8>> {
    let mut dice = Dice(606);
    let mut out: Vec<Vec<u8>> = [
        "",
        "a",
        "abc",
        "  a b  c ",
        "aXbXcX",
        "\tx\ty\n",
        "Hello World",
        "HELLO",
        "a'b",
        "a\"b",
        "a'b\"c\\",
        "+12",
        "-7",
        "\r\n\r",
        "x\r\ny\nz\r",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    out.push((0..=255).collect());
    for _ in 0..60 {
        let alphabet = [&b"ab"[..], b"aB \t\n\r1", b"abcdefghij XYZ0123456789,.;"][dice.below(3) as usize];
        let length = dice.below(60);
        out.push((0..length).map(|_| alphabet[dice.below(alphabet.len() as u64) as usize]).collect());
    }
    out
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&strrepr::repr(text)).into_owned()
}

fn list(text: &[u8], pieces: Vec<split::Piece>) -> String {
    let items: Vec<String> = pieces.iter().map(|&(start, end)| quoted(&text[start..end])).collect();
    format!("[{}]", items.join(", "))
}

#[test]
fn methods() {
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    let boolean = |value: bool| if value { "True".to_owned() } else { "False".to_owned() };
    for text in texts() {
        let q = quoted(&text);
        let mut ask = |expression: &str, result: String| {
            asked.push(format!("{q}.{expression}"));
            ours.push(result);
        };
        ask("capitalize()", quoted(&bytes::capitalize(&text)));
        ask("title()", quoted(&bytes::title(&text)));
        ask("swapcase()", quoted(&bytes::swapcase(&text)));
        ask("istitle()", boolean(bytes::is_title(&text)));
        ask("isupper()", boolean(bytes::is_upper(&text)));
        ask("islower()", boolean(bytes::is_lower(&text)));
        ask("isspace()", boolean(bytes::is_space_text(&text)));
        ask("isalnum()", boolean(bytes::all_of(&text, u8::is_ascii_alphanumeric)));
        for width in [-1i64, 0, 5, 20, 21, 63] {
            ask(
                &format!("center({width}, '*')"),
                shown(bytes::justify(&text, width, b'*', bytes::Align::Center, 1 << 20)),
            );
            ask(&format!("zfill({width})"), shown(bytes::zfill(&text, width, 1 << 20)));
            ask(&format!("expandtabs({width})"), shown(bytes::expand_tabs(&text, width, 1 << 20)));
        }
        for set in [None, Some("a"), Some(" ab\n")] {
            let argument = set.map(|set| quoted(set.as_bytes())).unwrap_or_default();
            for (name, left, right) in
                [("strip", true, true), ("lstrip", true, false), ("rstrip", false, true)]
            {
                let (start, end) = bytes::strip(&text, set.map(str::as_bytes), bytes::Ends { left, right });
                ask(&format!("{name}({argument})"), quoted(&text[start..end]));
            }
        }
        for most in [-1i64, 0, 1, 2, 5] {
            let limit = usize::try_from(most).unwrap_or(usize::MAX);
            ask(&format!("split(None, {most})"), list(&text, split::split_space(&text, limit)));
            ask(&format!("rsplit(None, {most})"), list(&text, split::rsplit_space(&text, limit)));
            for separator in ["a", "ab", " ", "X"] {
                let pieces = split::split(&text, separator.as_bytes(), limit).unwrap();
                ask(&format!("split('{separator}', {most})"), list(&text, pieces));
                let pieces = split::rsplit(&text, separator.as_bytes(), limit).unwrap();
                ask(&format!("rsplit('{separator}', {most})"), list(&text, pieces));
            }
            for (old, new) in [("a", "b"), ("a", "xyz"), ("ab", ""), ("", "-"), ("b", ""), ("", "")] {
                let result = split::replace(&text, old.as_bytes(), new.as_bytes(), limit, 1 << 20);
                ask(
                    &format!("replace('{old}', '{new}', {most})"),
                    shown(result.map(|changed| changed.unwrap_or_else(|| text.clone()))),
                );
            }
        }
        ask("splitlines()", list(&text, split::split_lines(&text, false)));
        ask("splitlines(True)", list(&text, split::split_lines(&text, true)));
        for (start, end) in [(0, i64::MAX), (-5, 10), (3, -2), (100, 200), (2, 2)] {
            for needle in ["a", "ab", "", "aba"] {
                let range = bytes::clamp(text.len(), start, end);
                let at = range.and_then(|(from, to)| {
                    search::find(&text[from..to], needle.as_bytes()).map(|at| from + at)
                });
                ask(
                    &format!("find('{needle}', {start}, {end})"),
                    at.map_or("-1".into(), |at| at.to_string()),
                );
                let at = range.and_then(|(from, to)| {
                    search::rfind(&text[from..to], needle.as_bytes()).map(|at| from + at)
                });
                ask(
                    &format!("rfind('{needle}', {start}, {end})"),
                    at.map_or("-1".into(), |at| at.to_string()),
                );
                if !needle.is_empty() {
                    let count = range.map_or(0, |(from, to)| {
                        search::count(&text[from..to], needle.as_bytes(), usize::MAX)
                    });
                    ask(&format!("count('{needle}', {start}, {end})"), count.to_string());
                }
            }
        }
    }
    oracle::compare("string methods", "", &asked, &ours);
}

#[test]
fn search_is_linear_and_right() {
    let mut dice = Dice(17);
    for _ in 0..3000 {
        let length = dice.below(300) as usize;
        let text: Vec<u8> = (0..length).map(|_| b'a' + dice.below(2) as u8).collect();
        let needle: Vec<u8> = (0..1 + dice.below(12)).map(|_| b'a' + dice.below(2) as u8).collect();
        let naive = text.windows(needle.len()).position(|window| window == needle);
        assert_eq!(search::find(&text, &needle), naive);
        let naive = text.windows(needle.len()).rposition(|window| window == needle);
        assert_eq!(search::rfind(&text, &needle), naive);
    }
    // Would take hours if it were quadratic.
    let text = vec![b'a'; 2_000_000];
    let mut needle = vec![b'a'; 1_000_000];
    needle.push(b'b');
    assert_eq!(search::find(&text, &needle), None);
    needle.insert(0, b'b');
    assert_eq!(search::rfind(&text, &needle), None);
    assert_eq!(search::count(&text, b"aa", usize::MAX), 1_000_000);
}

#[test]
fn results_that_pass_the_limit_are_refused_before_they_are_made() {
    assert!(bytes::repeat(b"abc", 1 << 40, 1 << 20).is_err());
    assert!(bytes::justify(b"abc", 1 << 40, b' ', bytes::Align::Left, 1 << 20).is_err());
    assert!(bytes::expand_tabs(b"\t\t", 1 << 40, 1 << 20).is_err());
    assert!(split::replace(&vec![b'a'; 1000], b"a", &vec![b'b'; 100_000], usize::MAX, 1 << 20).is_err());
    assert!(split::join_size([1usize << 19; 4].into_iter(), 1, 1 << 20).is_err());
    assert!(bytes::repeat(b"abc", 3, 9).is_ok());
}

#[test]
fn two_way_search_is_right_on_repetitive_texts() {
    let mut dice = Dice(23);
    for round in 0..4000 {
        let period = 1 + dice.below(5) as usize;
        let unit: Vec<u8> = (0..period).map(|_| b'a' + dice.below(2) as u8).collect();
        let mut text: Vec<u8> = unit.iter().copied().cycle().take(900).collect();
        for _ in 0..dice.below(4) {
            let at = dice.below(900) as usize;
            text[at] ^= 3;
        }
        let mut needle: Vec<u8> = unit.iter().copied().cycle().take(20 + dice.below(60) as usize).collect();
        if round % 2 == 0 {
            let at = dice.below(needle.len() as u64) as usize;
            needle[at] ^= 3;
        }
        let naive = text.windows(needle.len()).position(|window| window == needle);
        assert_eq!(search::find(&text, &needle), naive, "{text:?} {needle:?}");
        let naive = text.windows(needle.len()).rposition(|window| window == needle);
        assert_eq!(search::rfind(&text, &needle), naive);
    }
}
