use super::super::{bigjob, complex, float, format_spec, job::Job, long, padded::Padded, percent};
use super::{error_text, oracle, shown, Dice};
use dashu_int::IBig;

/// Floats of all sizes and shapes.
fn floats() -> Vec<f64> {
    let mut dice = Dice(0x1234_5678_9abc);
    let mut out = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        0.5,
        1.5,
        2.5,
        0.25,
        0.35,
        1e16,
        1e15,
        123456789012.0,
        1e11,
        99999999999.5,
        1e12,
        1e22,
        1e23,
        1e100,
        1e-4,
        1e-5,
        0.00012345,
        123.456,
        5e-324,
        1.7976931348623157e308,
        2.2250738585072014e-308,
        1e300,
        0.3,
        2.675,
        1.005,
        9.995,
        0.0625,
        1e17,
        12345678901234567.0,
        3.0e-7,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e22,
        4503599627370497.5,
    ];
    for _ in 0..150 {
        let value = f64::from_bits(dice.next());
        if value.is_finite() {
            out.push(value);
        }
        out.push((dice.below(2_000_000) as f64 - 1_000_000.0) / 1000.0);
        out.push(dice.below(100_000) as f64 / 64.0);
        // Often in the middle of two texts of the shortest length.
        let bits = 40 + dice.below(12);
        let odd = ((1u64 << bits) + (dice.next() & ((1 << bits) - 1))) | 1;
        out.push(odd as f64 / f64::from(1u32 << dice.below(8)));
    }
    out
}

fn literal(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "float('inf')".into() } else { "float('-inf')".into() };
    }
    format!("float('{value:e}')")
}

#[test]
fn float_texts() {
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    for value in floats() {
        asked.push(format!("repr({})", literal(value)));
        ours.push(shown(Ok(float::repr(value))));
        asked.push(format!("str({})", literal(value)));
        ours.push(shown(Ok(float::to_str(value))));
    }
    oracle::compare("float texts", "", &asked, &ours);
}

/// CPython 2.7 prints these so; of two nearest texts of one length the even one.
#[test]
fn the_middle_of_two_shortest_texts_is_even() {
    for (value, text) in [
        (1e16 / -13.0, "-769230769230769.2"),
        (6_153_846_153_846_154.0 / 8.0, "769230769230769.2"),
        (6_153_846_153_846_158.0 / 8.0, "769230769230769.8"),
        (1.25, "1.25"),
        (0.5, "0.5"),
    ] {
        assert_eq!(String::from_utf8_lossy(&float::repr(value)), text);
    }
}

#[test]
fn float_rounding() {
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    for value in floats() {
        for digits in [-310i64, -25, -23, -22, -5, -2, -1, 0, 1, 2, 3, 5, 15, 17, 22, 25, 330] {
            asked.push(format!("repr(round({}, {digits}))", literal(value)));
            ours.push(shown(float::round(value, digits).map(float::repr)));
        }
    }
    oracle::compare("round", "", &asked, &ours);
}

#[test]
fn float_arithmetic() {
    let values = floats();
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    let mut dice = Dice(99);
    for _ in 0..800 {
        let a = values[dice.below(values.len() as u64) as usize];
        let b = values[dice.below(values.len() as u64) as usize];
        asked.push(format!("repr({} % {})", literal(a), literal(b)));
        ours.push(shown(float::modulo(a, b).map(float::repr)));
        asked.push(format!("repr(divmod({}, {})[0])", literal(a), literal(b)));
        ours.push(shown(float::div_mod(a, b).map(|(quotient, _)| float::repr(quotient))));
        asked.push(format!("str({} ** {})", literal(a), literal(b)));
        ours.push(shown(float::power(a, b).map(float::to_str)));
    }
    oracle::compare("float arithmetic", "", &asked, &ours);
}

#[test]
fn percent_of_numbers() {
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    let flags = ["", "-", "+", " ", "#", "0", "-0", "+0", "#0", " #", "-#", "0 "];
    let widths = ["", "1", "5", "20"];
    let precisions = ["", ".", ".0", ".1", ".3", ".12", ".25"];
    let mut dice = Dice(4242);
    let values = floats();
    let mut ask = |format: String, argument: String, float_value: Option<f64>, integer: Option<IBig>| {
        let (directive, _) = percent::parse_directive(format.as_bytes(), 1).unwrap();
        let number = |amount| match amount {
            percent::Amount::Given(value) => value,
            _ => -1,
        };
        let (width, precision) = (number(directive.width), number(directive.precision));
        let digits = match (float_value, integer) {
            (Some(value), _) => percent::Digits {
                text: percent::float_text(directive.conversion, directive.alternate, precision, value),
                zeros: 0,
            },
            (None, Some(value)) => match long::to_i64(&value).filter(|_| !argument.ends_with("L)")) {
                Some(small) => {
                    percent::small_integer_text(directive.conversion, directive.alternate, precision, small)
                }
                None => {
                    percent::integer_text(directive.conversion, directive.alternate, precision, &value, None)
                }
            },
            _ => unreachable!("the callers give one of the two"),
        };
        let mut out = Padded::default();
        let left = directive.left;
        let result =
            percent::render(&mut out, &directive, width, left, percent::Body::Digits(&digits), 1 << 20);
        asked.push(format!("'{format}' % {argument}"));
        ours.push(shown(result.map(|()| out.flat())));
    };
    for flag in flags {
        for width in widths {
            for precision in precisions {
                for conversion in ["e", "f", "g", "E", "F", "G"] {
                    let value = values[dice.below(values.len() as u64) as usize];
                    ask(format!("%{flag}{width}{precision}{conversion}"), literal(value), Some(value), None);
                }
                for conversion in ["d", "i", "u", "x", "X", "o"] {
                    let small = dice.next() as i64 >> (dice.below(64));
                    ask(
                        format!("%{flag}{width}{precision}{conversion}"),
                        format!("({small})"),
                        None,
                        Some(IBig::from(small)),
                    );
                    let large = (IBig::from(dice.next() as i64) * IBig::from(dice.next()))
                        >> (dice.below(128) as usize);
                    ask(
                        format!("%{flag}{width}{precision}{conversion}"),
                        format!("({large}L)"),
                        None,
                        Some(large),
                    );
                }
            }
        }
    }
    oracle::compare("% of numbers", "", &asked, &ours);
}

#[test]
fn format_specifications() {
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    let mut dice = Dice(31337);
    let values = floats();
    let pick = |dice: &mut Dice, from: &[&str]| from[dice.below(from.len() as u64) as usize].to_owned();
    for _ in 0..6000 {
        let spec = [
            pick(&mut dice, &["", "", "<", ">", "=", "^", "*<", "x>", "_=", "0^"]),
            pick(&mut dice, &["", "", "+", "-", " "]),
            pick(&mut dice, &["", "", "", "#"]),
            pick(&mut dice, &["", "", "0"]),
            pick(&mut dice, &["", "1", "7", "12", "25"]),
            pick(&mut dice, &["", "", ","]),
            pick(&mut dice, &["", "", ".0", ".2", ".15", "."]),
            pick(
                &mut dice,
                &["", "d", "x", "X", "o", "b", "n", "c", "e", "f", "g", "G", "F", "E", "%", "s", "q"],
            ),
        ]
        .concat();
        let parsed = format_spec::parse(spec.as_bytes());
        let value = values[dice.below(values.len() as u64) as usize];
        let integer = IBig::from(dice.next() as i64 >> dice.below(64));
        let (argument, result) = match dice.below(5) {
            0 => (
                literal(value),
                parsed.and_then(|spec| format_spec::format_float(value, &spec, "float", 1 << 20)),
            ),
            1 => (
                integer.to_string(),
                parsed.and_then(|spec| format_spec::format_integer(&integer, &spec, "int", None, 1 << 20)),
            ),
            2 => (
                format!("{integer}L"),
                parsed.and_then(|spec| format_spec::format_integer(&integer, &spec, "long", None, 1 << 20)),
            ),
            3 => (
                format!("complex({}, 1.5)", literal(value)),
                parsed.and_then(|spec| format_spec::format_complex(value, 1.5, &spec, 1 << 20)),
            ),
            _ => (
                "'some text'".to_owned(),
                parsed.and_then(|spec| format_spec::format_text(b"some text", &spec, 1 << 20)),
            ),
        };
        if spec.is_empty() {
            continue;
        }
        asked.push(format!("format({argument}, '{spec}')"));
        ours.push(shown(result.map(|text| text.flat())));
    }
    oracle::compare("format()", "", &asked, &ours);
}

#[test]
fn integer_literals() {
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    let texts = [
        "0",
        "12",
        " 12 ",
        "+5",
        "-5",
        "- 5",
        "+ 7",
        "0x1f",
        "0X1F",
        "0o17",
        "017",
        "0b101",
        "1L",
        "1l",
        "1_0",
        "",
        " ",
        "abc",
        "zz",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "12 3",
        "\\t9\\n",
        "0x",
        "0b2",
        "--1",
        "1.5",
        "'",
        "08",
        "0L",
        "00",
        "\\x0b3",
        "3\\x00",
        "-0",
        "099",
        "0xg",
    ];
    for text in texts {
        let raw =
            text.replace("\\t", "\t").replace("\\n", "\n").replace("\\x0b", "\x0b").replace("\\x00", "\0");
        for base in [10i64, 0, 2, 8, 16, 36, 1, 37] {
            for name in ["int", "long"] {
                let quoted = if text == "'" { "\"'\"".to_owned() } else { format!("'{text}'") };
                asked.push(format!("{name}({quoted}, {base})"));
                ours.push(match long::scan(raw.as_bytes(), base, name) {
                    Ok(literal) => {
                        let value = long::large_value(&literal);
                        match long::to_i64(&value).filter(|_| name == "int") {
                            Some(small) => small.to_string(),
                            None => String::from_utf8(long::repr(&value)).unwrap(),
                        }
                    }
                    Err(fault) => error_text(&fault),
                });
            }
        }
    }
    oracle::compare("int(text, base)", "", &asked, &ours);
}

#[test]
fn float_and_complex_literals() {
    let texts = [
        "1",
        "1.5",
        " 1.5 ",
        "+1.",
        "-.5",
        ".",
        "",
        "e5",
        "1e5",
        "1e",
        "inf",
        "-Infinity",
        "nan",
        "infinit",
        "1_0",
        "0x1p3",
        "1j",
        "1+2j",
        "-1.5e3-.5j",
        "(1+2j)",
        "( 1j )",
        "j",
        "+j",
        "-J",
        "1+j",
        "1-j",
        "1+2",
        "1 + 2j",
        "infj",
        "1e400",
        "--1",
        "+-1",
        "1..2",
        "nan+infj",
        "(1",
        "1)",
        "1jj",
        "1e5j",
    ];
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    for text in texts {
        asked.push(format!("repr(float('{text}'))"));
        ours.push(shown(float::parse(text.as_bytes()).map(float::repr)));
        asked.push(format!("repr(complex('{text}'))"));
        ours.push(shown(complex::parse(text.as_bytes()).map(|value| complex::text(value, true))));
    }
    oracle::compare("float(text), complex(text)", "", &asked, &ours);
}

#[test]
fn complex_arithmetic() {
    let parts = [0.0, -0.0, 1.0, -2.5, 3.0, 1e10, 1e-3];
    let (mut asked, mut ours) = (Vec::new(), Vec::new());
    let mut dice = Dice(8);
    for _ in 0..600 {
        let mut part = || parts[dice.below(7) as usize];
        let (a, b) = (complex::Complex::new(part(), part()), complex::Complex::new(part(), part()));
        let show = |value| complex::text(value, false);
        let operands = format!("complex({:?},{:?}) OP complex({:?},{:?})", a.real, a.imag, b.real, b.imag);
        for (operator, result) in [
            ("+", Ok(complex::add(a, b))),
            ("-", Ok(complex::subtract(a, b))),
            ("*", Ok(complex::multiply(a, b))),
            ("/", complex::divide(a, b)),
            ("%", complex::modulo(a, b)),
            ("**", complex::power(a, b)),
        ] {
            asked.push(format!("str({})", operands.replace("OP", operator)));
            ours.push(shown(result.map(show)));
        }
    }
    oracle::compare("complex arithmetic", "", &asked, &ours);
}

fn random_big(dice: &mut Dice, words: usize) -> IBig {
    let words: Vec<u64> = (0..words).map(|_| dice.next()).collect();
    let value = IBig::from(dashu_int::UBig::from_words(&words));
    if dice.below(2) == 0 {
        -value
    } else {
        value
    }
}

#[test]
fn texts_of_large_numbers_agree_with_the_general_way() {
    let mut dice = Dice(77);
    let mut numbers: Vec<IBig> =
        (0..12).flat_map(|words| [IBig::ZERO, random_big(&mut dice, words)]).collect();
    for bits in 1..600 {
        let power = IBig::from(1) << bits;
        numbers.extend([power.clone() - 1, -power.clone(), power]);
    }
    numbers.extend((0..170).map(|exponent| IBig::from(10).pow(exponent)));
    for number in numbers {
        let mut text = Vec::new();
        long::push_decimal(&mut text, &number);
        assert_eq!(String::from_utf8_lossy(&text), number.to_string());
        let hex = long::signed_radix_text(&number, 16, "0x");
        assert_eq!(String::from_utf8_lossy(&long::hex(&number)), String::from_utf8_lossy(&hex));
    }
}

#[test]
fn jobs_agree_with_direct_operations() {
    let mut dice = Dice(2024);
    for (few, many) in
        [(1usize, 1usize), (10, 3000), (2500, 2600), (900, 9000), (5000, 5000), (3, 70_000), (4100, 12_345)]
    {
        let a = random_big(&mut dice, many);
        let b = random_big(&mut dice, few);
        let product = &a * &b;
        let (x, y) = (a.clone(), b.clone());
        let mut job = Job::new(|fuel| bigjob::signed_product(fuel, x, y));
        let mut steps = 0;
        let result = loop {
            if let Some(result) = job.resume(1_000_000) {
                break result;
            }
            steps += 1;
        };
        assert!(result == product, "{few} x {many}");
        assert!(few * many < 9_000_000 || steps > 1, "a long product must be done in steps, took {steps}");
        for (a, b) in [(a.clone(), b.clone()), (&product + IBig::from(17), a.clone()), (b, a)] {
            let expected = long::div_mod(&a, &b);
            let quotient = Job::new(|fuel| bigjob::floor_div_mod(fuel, a, b)).finish();
            assert!(quotient == expected, "{few} / {many}");
        }
    }
}

#[test]
fn jobs_convert_and_raise_to_powers() {
    let mut dice = Dice(11);
    for words in [1usize, 50, 1200, 9000] {
        let value = random_big(&mut dice, words);
        let text = Job::new(|fuel| bigjob::decimal_text(fuel, value.clone())).finish();
        assert!(text == value.to_string().as_bytes(), "{words} words to text");
        let literal = long::scan(&text, 10, "long").unwrap();
        assert!(Job::new(|fuel| bigjob::parse(fuel, literal)).finish() == value, "{words} words from text");
    }
    for (base, exponent) in
        [(0i64, 5usize), (2, 1000), (-2, 1001), (10, 4000), (-7, 3), (1, 1 << 60), (12, 0), (96, 777)]
    {
        let result =
            Job::new(|fuel| bigjob::power(fuel, IBig::from(base), exponent, 1 << 20)).finish().unwrap();
        if exponent < 1 << 20 {
            assert!(result == IBig::from(base).pow(exponent), "{base} ** {exponent}");
        }
    }
    assert!(Job::new(|fuel| bigjob::power(fuel, IBig::from(3), 1 << 40, 1 << 30)).finish().is_err());
    let modulus = random_big(&mut dice, 9);
    let (base, exponent) = (random_big(&mut dice, 20), random_big(&mut dice, 3).into_parts().1);
    let by_steps = Job::new(|fuel| bigjob::power_mod(fuel, base.clone(), exponent.clone(), modulus.clone()))
        .finish()
        .unwrap();
    let mut expected = IBig::ONE;
    for bit in (0..192).rev() {
        expected = long::div_mod(&(&expected * &expected), &modulus).unwrap().1;
        if (&exponent >> bit) % 2u8 == 1 {
            expected = long::div_mod(&(&expected * &base), &modulus).unwrap().1;
        }
    }
    assert!(by_steps == expected);
}

#[test]
fn quick_division_and_small_products_agree() {
    let mut dice = Dice(31);
    let mut decided = 0;
    for _ in 0..4000 {
        let words = 3 + dice.below(6) as usize;
        let b = IBig::from(random_big(&mut dice, words).into_parts().1);
        let small = dice.next() >> dice.below(64);
        let rest = IBig::from(random_big(&mut dice, words).into_parts().1) % &b;
        let exact = dice.below(8) == 0;
        let a = &b * IBig::from(small) + if exact { IBig::ZERO } else { rest };
        let a = if dice.below(16) == 0 && !a.is_zero() { a - IBig::ONE } else { a };
        let (quotient, remainder) = long::div_mod(&a, &b).unwrap();
        if let Some(quick) = long::quick_quotient(&a, &b) {
            decided += 1;
            assert_eq!(quick, quotient, "{a} // {b}");
            assert_eq!(long::quick_remainder(&a, &b), Some(remainder), "{a} % {b}");
        }
        let factor = dice.next() as i64;
        let signed = random_big(&mut dice, words);
        assert_eq!(long::multiply_small(&signed, factor), &signed * IBig::from(factor));
    }
    assert!(decided > 2000, "only {decided} quotients were decided by the top words");
}
