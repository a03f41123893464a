//! The rule of names: which identifiers a program may use, and which keys a
//! SafeDict may have.

/// Names with two underscores that are allowed all the same: the methods that
/// the interpreter itself calls on a program's objects.
pub const ALLOWED: &[&str] = &["__init__", "__del__", "__str__", "__repr__"];

/// Beginnings of the names that reach into methods, functions, tracebacks,
/// frames and code objects of Python 2.
pub const REFUSED_PREFIXES: &[&str] = &["im_", "func_", "tb_", "f_", "co_"];

/// Methods of strings that V1 refused, since they reach arbitrary codecs.
pub const REFUSED: &[&str] = &["encode", "decode"];

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It contains `__` and is not one of [`ALLOWED`].
    DoubleUnderscore,
    /// It begins with this prefix.
    Prefix(&'static str),
    /// It is one of [`REFUSED`].
    Exact,
}

/// Tells why a name is refused; none if a program may use it.
pub fn refused(name: &[u8]) -> Option<Reason> {
    if ALLOWED.iter().any(|allowed| allowed.as_bytes() == name) {
        return None;
    }
    if name.windows(2).any(|pair| pair == b"__") {
        return Some(Reason::DoubleUnderscore);
    }
    if let Some(prefix) = REFUSED_PREFIXES.iter().find(|prefix| name.starts_with(prefix.as_bytes())) {
        return Some(Reason::Prefix(prefix));
    }
    let exact = REFUSED.iter().any(|refused| refused.as_bytes() == name);
    exact.then_some(Reason::Exact)
}

/// What to write instead of well-known names.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["__class__", "__bases__", "__mro__", "__subclasses__"],
        "ask with `type(x)`, `isinstance(x, C)` and `issubclass(C, D)`",
    ),
    (
        &["__dict__", "__getattr__", "__getattribute__", "__setattr__", "__delattr__"],
        "keep what is looked up by name in a dictionary",
    ),
    (
        &["__len__", "__iter__", "__contains__", "__getitem__", "__setitem__", "__delitem__"],
        "keep a list or dictionary in the object, and write ordinary methods for the rest",
    ),
    (
        &["__cmp__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"],
        "write an ordinary method that compares, or sort with `cmp=` or `key=`",
    ),
    (&["__enter__", "__exit__"], "write ordinary methods and call them in `try:` ... `finally:`"),
    (&["__new__", "__metaclass__", "__slots__"], "set up the object in `__init__`"),
    (
        &["__name__", "__doc__", "__file__", "__builtins__", "__import__", "__debug__"],
        "leave it away: a program has no modules and runs from its first line on",
    ),
];

/// A name where a program uses it, for messages.
pub(super) fn explain(name: &str, reason: Reason) -> (String, String) {
    match reason {
        Reason::DoubleUnderscore => (
            format!("the name `{name}` is refused: names with `__` reach into the interpreter"),
            INSTEAD.iter().find(|(names, _)| names.contains(&name)).map_or_else(
                || {
                    format!(
                        "give methods and variables plain names and call them yourself; the \
                             interpreter itself calls only {}",
                        ALLOWED.join(", ")
                    )
                },
                |(_, help)| (*help).to_owned(),
            ),
        ),
        Reason::Prefix(prefix) => (
            format!(
                "the name `{name}` is refused: `{prefix}` begins the names of the interpreter's \
                 inner parts"
            ),
            "choose a name that begins otherwise".to_owned(),
        ),
        Reason::Exact => (
            format!("the name `{name}` is refused: Repy has no codecs, its strings are bytes"),
            "convert with `chr`, `ord`, `%` and `replace`, or choose another name".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_allowed_twin() {
        for (name, reason) in [
            ("__class__", Some(Reason::DoubleUnderscore)),
            ("a__b", Some(Reason::DoubleUnderscore)),
            ("__", Some(Reason::DoubleUnderscore)),
            ("___init__", Some(Reason::DoubleUnderscore)),
            ("__init__", None),
            ("__del__", None),
            ("__str__", None),
            ("__repr__", None),
            ("_a_b_", None),
            ("im_func", Some(Reason::Prefix("im_"))),
            ("func_", Some(Reason::Prefix("func_"))),
            ("func", None),
            ("my_func_name", None),
            ("tb_next", Some(Reason::Prefix("tb_"))),
            ("f_x", Some(Reason::Prefix("f_"))),
            ("f", None),
            ("fx", None),
            ("co_code", Some(Reason::Prefix("co_"))),
            ("encode", Some(Reason::Exact)),
            ("decode", Some(Reason::Exact)),
            ("encoded", None),
            ("decoder", None),
            ("", None),
        ] {
            assert_eq!(refused(name.as_bytes()), reason, "{name}");
        }
    }
}
