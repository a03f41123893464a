//! File objects and the vessel directory.

use policies::files::BadName;
use policies::Call;

use super::integer;
use super::misc::new_object;
use crate::api::bind::Bound;
use crate::api::copy::release_all;
use crate::api::error::{ApiError, Class, Failure};
use crate::api::file::{Mode, OpenFile};
use crate::api::files::{FileHandle, CLOSED};
use crate::api::state::{drain_dropped, fail, finish, gate, pay, permit, raise, wake_next, Api, Due};
use crate::heap::{Builtin, Heap, Raised, Value};
use crate::host::{Host, SystemError};
use crate::meter::{Count, Meters, Pass, Rate};
use crate::vm::native::{block, value, NativeReturn, Resume};
use crate::vm::Vm;

/// Set in the identity of a file object that may be written: what `flush` of
/// a closed one still depends on.
const WRITABLE: u64 = 1 << 63;

fn handle(heap: &Heap, object: Value) -> FileHandle {
    match object {
        Value::Api(api) => FileHandle::from_bits(heap.apis[api].id & !WRITABLE),
        _ => FileHandle::from_bits(u64::MAX),
    }
}

/// The identity of a file object without the mark: for closing what was
/// dropped.
pub(in crate::api) fn handle_of_identity(id: u64) -> FileHandle {
    FileHandle::from_bits(id & !WRITABLE)
}

/// `open(filename, mode='r')`, also `file(...)`
pub fn open(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::Open, bound.written())?;
    let mode = match bound.get(1) {
        Value::Str(mode) => Mode::parse(vm.heap.bytes(mode)),
        _ => Ok(Mode::Read),
    };
    let mode = match mode {
        Ok(mode) => mode,
        Err(error) => return Err(raise(vm, &error)),
    };
    permit(vm, Call::FileInit, bound.written())?;
    let (api, heap) = Api::of(vm);
    if let Err(error) = api.files.check_open(bound.text(heap, 0)) {
        return Err(raise(vm, &error));
    }
    if api.meters.is_full(Count::FilesOpened) {
        collect_forgotten(vm);
    }
    let thread = vm.current;
    let (api, _) = Api::of(vm);
    let role = api.role(thread);
    let label = api.next_handle("", role);
    let mut opened = open_now(vm, bound, mode, &label);
    if matches!(&opened, Err(Failure::Raise(error)) if error.lacks_descriptors()) {
        collect_forgotten(vm);
        opened = open_now(vm, bound, mode, &label);
    }
    match opened {
        Ok(file) => {
            let heap = &mut vm.heap;
            let mark = if mode == Mode::Read { 0 } else { WRITABLE };
            value(new_object(heap, Builtin::ApiFile, file.bits() | mark, &label))
        }
        Err(failure) => fail(vm, failure),
    }
}

/// Closes the files and sockets that are forgotten in cycles.
fn collect_forgotten(vm: &mut Vm) {
    vm.heap.collect();
    drain_dropped(vm);
}

fn open_now(vm: &mut Vm, bound: &Bound, mode: Mode, label: &str) -> Result<FileHandle, Failure> {
    let (api, heap) = Api::of(vm);
    api.files.open(bound.text(heap, 0), mode, label, &mut *api.host, &mut api.meters)
}

/// `listdir()`
pub fn listdir(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::ListDir, bound.written())?;
    let (api, heap) = Api::of(vm);
    match api.host.list_directory() {
        Ok(names) => {
            heap.make_room(names.iter().map(|name| name.len() + 48).sum())?;
            let names = names.into_iter().map(|name| heap.new_str_from(name)).collect();
            value(heap.new_list(names))
        }
        Err(error) => Err(raise(vm, &ApiError::system(Class::OsError, error, None))),
    }
}

/// `removefile(filename)`
pub fn removefile(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::RemoveFile, bound.written())?;
    let (api, heap) = Api::of(vm);
    let result = match bound.get(0) {
        Value::Str(name) => api.files.remove(heap.bytes(name), &mut *api.host, &mut api.meters),
        _ => Err(ApiError::new(Class::TypeError, BadName::NotText.text())),
    };
    finish(vm, result.map(|()| Value::None).map_err(Failure::Raise))
}

/// What a method does when its object is closed.
#[derive(Clone, Copy)]
enum WhenClosed {
    /// ValueError with the usual text.
    Invalid,
    /// KeyError with the inner handle.
    Key,
}

#[cold]
fn closed(vm: &mut Vm, object: Value, when: WhenClosed) -> Raised {
    match (when, object) {
        (WhenClosed::Key, Value::Api(api)) => {
            let label = vm.heap.apis[api].label;
            let text = vm.heap.bytes(label).to_vec();
            raise(vm, &ApiError::new(Class::KeyError, text))
        }
        _ => raise(vm, &ApiError::new(Class::ValueError, CLOSED)),
    }
}

/// The parts of the machine that a file method works with.
struct Parts<'a> {
    file: &'a mut OpenFile,
    host: &'a mut dyn Host,
    meters: &'a mut Meters,
    heap: &'a mut Heap,
}

/// The open file of an object and what it works with; raises if it is closed.
fn parts(vm: &mut Vm, object: Value, when: WhenClosed) -> Result<Parts<'_>, Raised> {
    let handle = handle(&vm.heap, object);
    if Api::of(vm).0.files.get(handle).is_none() {
        return Err(closed(vm, object, when));
    }
    let (Api { files, host, meters, .. }, heap) = Api::of(vm);
    match files.get(handle) {
        Some(file) => Ok(Parts { file, host: &mut **host, meters, heap }),
        // It was there a moment ago, and nothing ran in between.
        None => unreachable!("an open file stays open"),
    }
}

/// The size argument of the reading methods: `None` for all.
fn size(vm: &mut Vm, method: &str, bound: &Bound) -> Result<Option<u64>, Raised> {
    match bound.get(0) {
        Value::Int(size) => Ok(u64::try_from(size).ok()),
        Value::Unset => Ok(None),
        _ => {
            let text = format!("file.{method}() expects an integer argument");
            Err(raise(vm, &ApiError::new(Class::TypeError, text)))
        }
    }
}

fn read_with(
    vm: &mut Vm,
    bound: &Bound,
    call: Call,
    method: &str,
    when: WhenClosed,
    act: crate::api::state::Act,
) -> NativeReturn {
    permit(vm, call, bound.written())?;
    size(vm, method, bound)?;
    parts(vm, bound.object, when)?;
    gate(vm, Rate::FileRead, &[bound.object, bound.get(0)], act)
}

/// Pays for what was read.
fn pay_for_text(vm: &mut Vm, text: Result<Vec<u8>, ApiError>) -> NativeReturn {
    match text {
        Ok(text) => {
            let length = text.len() as u64;
            let text = vm.heap.new_str_from(text);
            pay(vm, Rate::FileRead, length, text)
        }
        Err(error) => Err(raise(vm, &error)),
    }
}

fn count_of(values: &[Value]) -> Option<u64> {
    values.get(1).and_then(|size| size.as_int()).and_then(|size| u64::try_from(size).ok())
}

fn object_of(values: &[Value]) -> Value {
    values.first().copied().unwrap_or(Value::Unset)
}

/// `file.read([size])`
pub fn read(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    read_with(vm, bound, Call::FileRead, "read", WhenClosed::Invalid, |vm, values| {
        let count = count_of(values);
        let Parts { file, host, meters, heap } = parts(vm, object_of(values), WhenClosed::Invalid)?;
        heap.make_room(usize::try_from(file.readable(count)).unwrap_or(usize::MAX))?;
        let text = file.read(count, host, meters);
        pay_for_text(vm, text)
    })
}

/// `file.readline([size])`
pub fn readline(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    read_with(vm, bound, Call::FileReadline, "readline", WhenClosed::Invalid, |vm, values| {
        let count = count_of(values);
        let Parts { file, host, meters, .. } = parts(vm, object_of(values), WhenClosed::Invalid)?;
        let line = file.read_line(count, host, meters);
        pay_for_text(vm, line)
    })
}

/// `file.readlines([size])`
pub fn readlines(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    read_with(vm, bound, Call::FileReadlines, "readlines", WhenClosed::Invalid, |vm, values| {
        let hint = values.get(1).and_then(|hint| hint.as_int()).unwrap_or(0);
        let Parts { file, host, meters, heap } = parts(vm, object_of(values), WhenClosed::Invalid)?;
        let expected = file.readable(u64::try_from(hint).ok().filter(|hint| *hint > 0));
        heap.make_room(usize::try_from(expected).unwrap_or(usize::MAX))?;
        match file.read_lines(hint, host, meters) {
            Ok(lines) => {
                heap.make_room(lines.len().saturating_mul(56))?;
                let total: usize = lines.iter().map(Vec::len).sum();
                let lines = lines.into_iter().map(|line| heap.new_str_from(line)).collect();
                let lines = heap.new_list(lines);
                vm.spend(total / 16);
                pay(vm, Rate::FileRead, total as u64, lines)
            }
            Err(error) => Err(raise(vm, &error)),
        }
    })
}

/// `file.next()`, also behind `for line in file`
pub fn next(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::FileNext, bound.written())?;
    let Parts { file, .. } = parts(vm, bound.object, WhenClosed::Key)?;
    if file.is_writable() {
        let text = "file.next() is invalid for write-enabled files.";
        return Err(raise(vm, &ApiError::new(Class::IoError, text)));
    }
    gate(vm, Rate::FileRead, &[bound.object], |vm, values| {
        let Parts { file, host, meters, .. } = parts(vm, object_of(values), WhenClosed::Key)?;
        match file.read_line(None, host, meters) {
            Ok(line) if line.is_empty() => Err(raise(vm, &ApiError::stop_iteration())),
            line => pay_for_text(vm, line),
        }
    })
}

/// The next line for `for line in file`: an owned string, `Unset` at the end.
/// While the rate's past is not paid for, the thread sleeps and asks again;
/// the charge of a line is waited for before the next one.
pub fn next_line(vm: &mut Vm, object: Value) -> NativeReturn {
    let thread = vm.current;
    let waiting = Api::of(vm).0.line_waiters.contains(&thread);
    if !waiting {
        permit(vm, Call::FileNext, &[])?;
        let Parts { file, .. } = parts(vm, object, WhenClosed::Key)?;
        if file.is_writable() {
            let text = "file.next() is invalid for write-enabled files.";
            return Err(raise(vm, &ApiError::new(Class::IoError, text)));
        }
    }
    let (api, _) = Api::of(vm);
    let now = api.host.now();
    let pass = if waiting {
        api.meters.before_again(Rate::FileRead, thread.0, now)
    } else {
        match api.meters.before(Rate::FileRead, thread.0, now) {
            Ok(pass) => pass,
            Err(refused) => return fail(vm, refused.into()),
        }
    };
    if pass != Pass::Now {
        if let Pass::Until(moment) = pass {
            api.deadlines.add(moment, Due::Wake(thread, Value::None));
        }
        api.line_waiters.insert(thread);
        return block(None);
    }
    api.line_waiters.remove(&thread);
    let line = read_next(vm, object, now);
    if waiting {
        wake_next(vm, Rate::FileRead);
    }
    line
}

fn read_next(vm: &mut Vm, object: Value, now: u64) -> NativeReturn {
    let Parts { file, host, meters, heap } = parts(vm, object, WhenClosed::Key)?;
    match file.read_line(None, host, meters) {
        Ok(line) => {
            let _paid_at = meters.after(Rate::FileRead, line.len() as u64, now);
            value(if line.is_empty() { Value::Unset } else { heap.new_str_from(line) })
        }
        Err(error) => Err(raise(vm, &error)),
    }
}

/// Refuses writing to a file opened for reading.
fn writable(vm: &mut Vm, object: Value, method: &str) -> Result<(), Raised> {
    let Parts { file, .. } = parts(vm, object, WhenClosed::Invalid)?;
    if file.is_writable() {
        return Ok(());
    }
    let text = format!("{method}() isn't allowed on read-only file objects!");
    Err(raise(vm, &ApiError::new(Class::ValueError, text)))
}

/// `file.write(data)`, also for each piece of `print >> file, ...`
pub fn write(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::FileWrite, bound.written())?;
    writable(vm, bound.object, "write")?;
    gate(vm, Rate::FileWrite, &[bound.object, bound.get(0)], |vm, values| {
        match write_one(vm, object_of(values), values.get(1).copied())? {
            Ok(length) => pay(vm, Rate::FileWrite, length, Value::None),
            Err(failure) => fail(vm, failure),
        }
    })
}

/// Writes one string and returns its length.
fn write_one(vm: &mut Vm, object: Value, text: Option<Value>) -> Result<Result<u64, Failure>, Raised> {
    let Parts { file, host, meters, heap } = parts(vm, object, WhenClosed::Invalid)?;
    let Some(Value::Str(text)) = text else { return Ok(Ok(0)) };
    let bytes = heap.bytes(text);
    Ok(file.write(bytes, host, meters).map(|()| bytes.len() as u64))
}

/// `file.writelines(lines)`
pub fn writelines(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::FileWritelines, bound.written())?;
    writable(vm, bound.object, "writelines")?;
    gate(vm, Rate::FileWrite, &[bound.object, bound.get(0)], |vm, values| {
        write_from(vm, object_of(values), values.get(1).copied().unwrap_or(Value::Unset), 0)
    })
}

/// Writes the items of a list (a copy that nobody else knows) from `start`.
fn write_from(vm: &mut Vm, object: Value, lines: Value, start: usize) -> NativeReturn {
    let Value::List(list) = lines else { return value(Value::None) };
    let mut index = start;
    while let Some(line) = vm.heap.list(list).get(index).copied() {
        index += 1;
        let length = match write_one(vm, object, Some(line))? {
            Ok(length) => length,
            Err(failure) => return fail(vm, failure),
        };
        vm.spend(1 + length as usize / 64);
        let thread = vm.current;
        let (api, heap) = Api::of(vm);
        let now = api.host.now();
        let free = api.meters.after(Rate::FileWrite, length, now);
        if free > now {
            api.deadlines.add(free, Due::Wake(thread, Value::None));
            let held = [heap.share(object), heap.share(lines)];
            return block(Some(Box::new(Writing { held, next: index })));
        }
    }
    value(Value::None)
}

/// A `writelines` that waits until a line is paid for.
struct Writing {
    held: [Value; 2],
    next: usize,
}

impl Resume for Writing {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(result);
        let [object, lines] = self.held;
        let outcome = write_from(vm, object, lines, self.next);
        release_all(&mut vm.heap, &self.held);
        outcome
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        release_all(&mut vm.heap, &self.held);
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.held.iter().for_each(|held| visit(*held));
    }
}

/// `file.seek(offset, whence=0)`
pub fn seek(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::FileSeek, bound.written())?;
    let Parts { file, host, meters, heap } = parts(vm, bound.object, WhenClosed::Key)?;
    let whence = match bound.get(1) {
        Value::Unset => Some(0),
        whence => integer(heap, whence),
    };
    let result = match (integer(heap, bound.get(0)), whence) {
        (Some(offset), Some(whence)) => file.seek(offset, whence, host, meters),
        // No kernel takes an offset of more than 64 bits.
        _ => Err(ApiError::system(Class::IoError, SystemError(libc::EINVAL), None)),
    };
    finish(vm, result.map(|()| Value::None).map_err(Failure::Raise))
}

/// `file.flush()`
pub fn flush(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::FileFlush, bound.written())?;
    if bound.object_id(&vm.heap) & WRITABLE == 0 {
        return value(Value::None);
    }
    let Parts { file, host, meters, .. } = parts(vm, bound.object, WhenClosed::Key)?;
    let result = file.flush(host, meters);
    finish(vm, result.map(|()| Value::None).map_err(Failure::Raise))
}

/// `file.close()`
pub fn close(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::FileClose, bound.written())?;
    let handle = handle(&vm.heap, bound.object);
    let (api, _) = Api::of(vm);
    let result = api.files.close(handle, &mut *api.host, &mut api.meters);
    finish(vm, result.map(|()| Value::None).map_err(Failure::Raise))
}
