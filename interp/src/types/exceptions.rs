//! Exceptions: constructors, `str`, and the attributes of the classes that have some of their own.
use super::support::{fail, type_name};
use super::text::Mode;
use crate::heap::{Builtin, Class, Instance, Outcome, Value};
use crate::vm::native::{value, Args, Flow, Getter, NativeDef, NativeReturn, ANY};
use crate::vm::Vm;

/// What `str` of an exception consists of.
pub enum StrParts {
    /// The empty string.
    Nothing,
    /// Ready text.
    Text(Vec<u8>),
    /// `str` or `repr` of this (borrowed).
    One(Value, Mode),
}

/// Attributes of EnvironmentError in the order of its arguments.
const ENVIRONMENT: [&str; 3] = ["errno", "strerror", "filename"];

fn arguments(vm: &Vm, instance: Instance) -> Vec<Value> {
    match vm.heap.instances[instance].payload {
        Value::Tuple(tuple) => vm.heap.tuple(tuple).to_vec(),
        _ => Vec::new(),
    }
}

fn own(vm: &mut Vm, instance: Instance, name: &str) -> Option<Value> {
    let name = vm.heap.intern(name.as_bytes());
    vm.heap.instance_attribute(instance, name).filter(|value| !value.is_none())
}

/// `str` or `repr` of an argument; of one that only program code can show, its type.
fn plain(vm: &mut Vm, item: Value, mode: Mode) -> Vec<u8> {
    let mut out = Vec::new();
    if super::text::scalar(&vm.heap, &mut out, item, mode) {
        return out;
    }
    let shown = if mode == Mode::Repr { super::repr(vm, item) } else { super::to_str(vm, item) };
    match shown {
        Ok(Flow::Value(text)) => {
            if let Value::Str(text) = text {
                out.extend_from_slice(vm.heap.bytes(text));
            }
            vm.heap.release(text);
        }
        Ok(Flow::Call(request)) => {
            vm.heap.release(request.callee);
            request.args.for_each(|argument| vm.heap.release(argument));
            request.then.abandon(vm);
            out.extend_from_slice(type_name(&vm.heap, item).as_bytes());
        }
        Ok(Flow::Yield(state) | Flow::Block(Some(state))) => state.abandon(vm),
        Ok(Flow::Block(None)) => {}
        Err(raised) => {
            let exception = vm.heap.take_raised(raised);
            vm.heap.release(exception);
        }
    }
    out
}

/// How `str` of an exception without a `__str__` of the program is made.
pub fn str_parts(vm: &mut Vm, instance: Instance) -> Outcome<StrParts> {
    let class = vm.heap.instances[instance].class;
    let is = |vm: &Vm, base: Builtin| vm.heap.is_subclass(class, base.class());
    let args = arguments(vm, instance);
    if is(vm, Builtin::KeyError) && args.len() == 1 {
        return Ok(StrParts::One(args[0], Mode::Repr));
    }
    if is(vm, Builtin::EnvironmentError) {
        let part = |vm: &mut Vm, at: usize| match own(vm, instance, ENVIRONMENT[at]) {
            // An exception the machine raised itself has only its arguments.
            None if (2..=3).contains(&args.len()) => args.get(at).copied(),
            found => found,
        };
        let (number, text) = (part(vm, 0), part(vm, 1));
        // A file name that was given is shown even if it is None.
        let name = vm.heap.intern(ENVIRONMENT[2].as_bytes());
        let file = vm.heap.instance_attribute(instance, name).or_else(|| args.get(2).copied());
        if let (Some(number), Some(text)) = (number, text) {
            let mut out = b"[Errno ".to_vec();
            out.extend(plain(vm, number, Mode::Str));
            out.extend_from_slice(b"] ");
            out.extend(plain(vm, text, Mode::Str));
            if let Some(file) = file {
                out.extend_from_slice(b": ");
                out.extend(plain(vm, file, Mode::Repr));
            }
            return Ok(StrParts::Text(out));
        }
    }
    if is(vm, Builtin::SyntaxError) {
        let message = own(vm, instance, "msg").unwrap_or(Value::None);
        let file = own(vm, instance, "filename");
        let line = own(vm, instance, "lineno").and_then(|line| line.as_int());
        let mut out = plain(vm, message, Mode::Str);
        let file = match file {
            Some(Value::Str(file)) => {
                let path = vm.heap.text(file);
                path.rsplit('/').next().map(str::to_owned)
            }
            _ => None,
        };
        match (file, line) {
            (Some(file), Some(line)) => out.extend_from_slice(format!(" ({file}, line {line})").as_bytes()),
            (Some(file), None) => out.extend_from_slice(format!(" ({file})").as_bytes()),
            (None, Some(line)) => out.extend_from_slice(format!(" (line {line})").as_bytes()),
            (None, None) => {}
        }
        return Ok(StrParts::Text(out));
    }
    if let Some(text) = unicode_text(vm, instance, class) {
        return Ok(StrParts::Text(text));
    }
    Ok(match args.len() {
        0 => StrParts::Nothing,
        1 => StrParts::One(args[0], Mode::Str),
        _ => StrParts::One(vm.heap.instances[instance].payload, Mode::Str),
    })
}

fn unicode_text(vm: &mut Vm, instance: Instance, class: Class) -> Option<Vec<u8>> {
    let is = |vm: &Vm, base: Builtin| vm.heap.is_subclass(class, base.class());
    let decode = is(vm, Builtin::UnicodeDecodeError);
    if !decode && !is(vm, Builtin::UnicodeEncodeError) && !is(vm, Builtin::UnicodeTranslateError) {
        return None;
    }
    let start = own(vm, instance, "start")?.as_int()?;
    let end = own(vm, instance, "end")?.as_int()?;
    let reason = own(vm, instance, "reason").map(|reason| plain(vm, reason, Mode::Str))?;
    let reason = String::from_utf8_lossy(&reason).into_owned();
    let encoding = own(vm, instance, "encoding").map(|encoding| plain(vm, encoding, Mode::Str));
    let encoding = String::from_utf8_lossy(&encoding.unwrap_or_default()).into_owned();
    let Value::Str(object) = own(vm, instance, "object")? else { return None };
    let byte = usize::try_from(start).ok().and_then(|at| vm.heap.bytes(object).get(at).copied());
    let text = match byte {
        Some(byte) if end == start + 1 => {
            format!("'{encoding}' codec can't decode byte 0x{byte:02x} in position {start}: {reason}")
        }
        _ => format!("'{encoding}' codec can't decode bytes in position {start}-{}: {reason}", end - 1),
    };
    Some(text.into_bytes())
}

fn set(vm: &mut Vm, instance: Instance, name: &str, item: Value) {
    let name = vm.heap.intern(name.as_bytes());
    let item = vm.heap.share(item);
    vm.heap.set_instance_attribute(instance, name, item);
}

/// What `__init__` of a built-in exception class does beyond keeping the arguments.
fn initialise(vm: &mut Vm, instance: Instance, args: &[Value]) -> Outcome<()> {
    let class = vm.heap.instances[instance].class;
    let is = |vm: &Vm, base: Builtin| vm.heap.is_subclass(class, base.class());
    if !is(vm, Builtin::StandardError) {
        if is(vm, Builtin::SystemExit) {
            let code = match args {
                [] => Value::None,
                [one] => *one,
                _ => vm.heap.instances[instance].payload,
            };
            set(vm, instance, "code", code);
        }
        return Ok(());
    }
    if is(vm, Builtin::EnvironmentError) {
        let mut parts = [Value::None; 3];
        if (2..=3).contains(&args.len()) {
            parts[..args.len()].copy_from_slice(args);
            if args.len() == 3 {
                let pair = [vm.heap.share(args[0]), vm.heap.share(args[1])];
                let pair = vm.heap.new_tuple(&pair);
                let old = std::mem::replace(&mut vm.heap.instances[instance].payload, pair);
                vm.heap.release(old);
            }
        }
        // Without a file name there is no such attribute: the class answers for it.
        let given = if args.len() == 3 { 3 } else { 2 };
        for (name, part) in ENVIRONMENT[..given].iter().zip(parts) {
            set(vm, instance, name, part);
        }
    } else if is(vm, Builtin::SyntaxError) {
        let mut parts = [Value::None; 5];
        if let Some(&message) = args.first() {
            parts[0] = message;
        }
        let place = match (args.len(), args.get(1)) {
            (2, Some(&place)) => super::hook::collect(vm, place)?,
            _ => vec![Value::None; 4],
        };
        if place.len() != 4 {
            super::support::release_all(&mut vm.heap, place);
            return fail(vm, Builtin::IndexError, "tuple index out of range");
        }
        parts[1..].copy_from_slice(&place);
        for (name, part) in ["msg", "filename", "lineno", "offset", "text"].iter().zip(parts) {
            set(vm, instance, name, part);
        }
        super::support::release_all(&mut vm.heap, place);
        set(vm, instance, "print_file_and_line", Value::None);
    } else {
        let names: &[&str] = if is(vm, Builtin::UnicodeTranslateError) {
            &["object", "start", "end", "reason"]
        } else if is(vm, Builtin::UnicodeDecodeError) || is(vm, Builtin::UnicodeEncodeError) {
            &["encoding", "object", "start", "end", "reason"]
        } else {
            return Ok(());
        };
        if args.len() != names.len() {
            let text = format!("function takes exactly {} arguments ({} given)", names.len(), args.len());
            return fail(vm, Builtin::TypeError, text);
        }
        let object_at = names.len() - 4;
        if !is(vm, Builtin::UnicodeDecodeError) {
            let given = type_name(&vm.heap, args[object_at]);
            let text = format!("argument {} must be unicode, not {given}", object_at + 1);
            return fail(vm, Builtin::TypeError, text);
        }
        for (name, part) in names.iter().zip(args) {
            set(vm, instance, name, *part);
        }
    }
    Ok(())
}

/// `Class(args…)` for every exception class: the instance with its arguments.
pub fn construct(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Value::Class(class)) = args.get(0) else {
        return fail(vm, Builtin::TypeError, "exceptions must be made from classes");
    };
    let given = &args.positional[1..];
    if !args.keywords.is_empty() {
        let data = &vm.heap.classes[class];
        let name = vm.heap.text(data.name);
        let name = if data.module.is_empty() { name } else { format!("{}.{name}", data.module) };
        return fail(vm, Builtin::TypeError, format!("{name} does not take keyword arguments"));
    }
    for &item in given {
        vm.heap.retain(item);
    }
    let exception = vm.heap.new_exception(class, given);
    if let Value::Instance(instance) = exception {
        if let Err(raised) = initialise(vm, instance, given) {
            vm.heap.release(exception);
            return Err(raised);
        }
    }
    value(exception)
}

/// `Exception.__init__(self, args…)`
fn init(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Value::Instance(instance)) = args.get(0) else { return value(Value::None) };
    let given = &args.positional[1..];
    for &item in given {
        vm.heap.retain(item);
    }
    let payload = vm.heap.new_tuple(given);
    let old = std::mem::replace(&mut vm.heap.instances[instance].payload, payload);
    vm.heap.release(old);
    initialise(vm, instance, given)?;
    value(Value::None)
}

fn to_str(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Value::Instance(instance)) = args.get(0) else { return value(Value::None) };
    match str_parts(vm, instance)? {
        StrParts::Nothing => value(vm.heap.new_str(b"")),
        StrParts::Text(text) => value(vm.heap.new_str_from(text)),
        StrParts::One(item, Mode::Str) => super::to_str(vm, item),
        StrParts::One(item, Mode::Repr) => super::repr(vm, item),
    }
}

/// `Exception.__repr__(self)`: the class name and the arguments.
fn to_repr(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Value::Instance(instance)) = args.get(0) else { return value(Value::None) };
    let payload = vm.heap.instances[instance].payload;
    let name = vm.heap.classes[vm.heap.instances[instance].class].name;
    struct Prefix(crate::heap::Str);
    impl crate::vm::native::Resume for Prefix {
        fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
            let Value::Str(right) = result else { return value(result) };
            let joined = vm.heap.concat_str(self.0, right);
            vm.heap.release(result);
            value(joined?)
        }
        fn abandon(self: Box<Self>, vm: &mut Vm) {
            vm.heap.release(Value::Str(self.0));
        }
        fn held(&self, visit: &mut dyn FnMut(Value)) {
            visit(Value::Str(self.0));
        }
    }
    vm.heap.retain(Value::Str(name));
    let inner = super::repr(vm, payload);
    super::chain::chain(vm, inner, Box::new(Prefix(name)))
}

/// Methods of all exceptions.
pub const METHODS: &[NativeDef] = &[
    NativeDef::method("__init__", 0, ANY, init),
    NativeDef::method("__str__", 0, 0, to_str),
    NativeDef::method("__repr__", 0, 0, to_repr),
];

fn get_args(vm: &mut Vm, object: Value) -> Outcome<Value> {
    let Value::Instance(instance) = object else { return Ok(Value::None) };
    let payload = vm.heap.instances[instance].payload;
    Ok(match payload {
        Value::Unset => vm.heap.new_tuple(&[]),
        payload => vm.heap.share(payload),
    })
}

fn get_message(vm: &mut Vm, object: Value) -> Outcome<Value> {
    let Value::Instance(instance) = object else { return Ok(Value::None) };
    Ok(match arguments(vm, instance)[..] {
        [one] => vm.heap.share(one),
        _ => vm.heap.new_str(b""),
    })
}

fn environment(vm: &mut Vm, object: Value, at: usize) -> Outcome<Value> {
    let Value::Instance(instance) = object else { return Ok(Value::None) };
    let args = arguments(vm, instance);
    let found = if (2..=3).contains(&args.len()) { args.get(at).copied() } else { None };
    Ok(vm.heap.share(found.unwrap_or(Value::None)))
}

fn get_errno(vm: &mut Vm, object: Value) -> Outcome<Value> {
    environment(vm, object, 0)
}

fn get_strerror(vm: &mut Vm, object: Value) -> Outcome<Value> {
    environment(vm, object, 1)
}

fn get_filename(vm: &mut Vm, object: Value) -> Outcome<Value> {
    environment(vm, object, 2)
}

/// Attributes of exceptions that are not set on the instance itself.
pub const GETTERS: &[(Builtin, &str, Getter)] = &[
    (Builtin::BaseException, "args", get_args),
    (Builtin::BaseException, "message", get_message),
    (Builtin::EnvironmentError, "errno", get_errno),
    (Builtin::EnvironmentError, "strerror", get_strerror),
    (Builtin::EnvironmentError, "filename", get_filename),
];
