//! Calls: everything but the fast path for program functions.

use std::rc::Rc;

use super::construct::Constructed;
use super::native::{Args, Flow};
use super::thread::{Invoke, Thread};
use super::Vm;
use crate::compile::Code;
use crate::heap::{Builtin, Class, Function, Instance, Method, Outcome, Raised, Str, Style, Value};
use crate::types::chain::chain_pending;

/// Arguments of a call beyond the positional ones in registers: owned.
#[derive(Default)]
pub(crate) struct Extra {
    /// Keyword arguments.
    pub keywords: Vec<(Str, Value)>,
}

impl Vm {
    /// Calls the value in `stack[at]` with the `count` values behind it, and keywords.
    /// All are consumed, except that the callee and the bound arguments stay where they are
    /// if a frame is to be entered.
    pub(crate) fn invoke(&mut self, stack: &mut Vec<Value>, at: usize, count: usize, extra: Extra) -> Invoke {
        let mut count = count;
        loop {
            match stack[at] {
                Value::Function(function) => return self.enter(stack, at, count, function, extra),
                Value::Method(method) => match self.open_method(stack, at, count, method) {
                    Ok(more) => count += more,
                    Err(raised) => return self.refuse(stack, at, count, extra, raised),
                },
                Value::BoundNative(bound) => {
                    let data = self.heap.bound_natives[bound];
                    let object = self.heap.share(data.object);
                    self.insert_first(stack, at, count, object);
                    count += 1;
                    self.heap.release(Value::BoundNative(bound));
                    stack[at] = Value::Native(data.native);
                }
                Value::Native(native) => {
                    let row = *self.native(native);
                    // As in 2.7 the object is looked at before the number of the other arguments.
                    if row.method && count > 0 {
                        if let Err(raised) = self.fit_object(stack, at, native) {
                            return self.refuse(stack, at, count, extra, raised);
                        }
                    }
                    let checked = row.check(&mut self.heap, count, extra.keywords.len());
                    if let Err(raised) = checked {
                        return self.refuse(stack, at, count, extra, raised);
                    }
                    return self.run_native(stack, at, count, extra, row.call);
                }
                Value::Class(class) => return self.construct(stack, at, count, extra, class),
                other => {
                    let message = match other {
                        Value::Instance(instance) => {
                            let data = &self.heap.classes[self.heap.instances[instance].class];
                            let name = self.heap.text(data.name);
                            match data.style {
                                Style::Old => {
                                    let raised = self.heap.raise(
                                        Builtin::AttributeError,
                                        &format!("{name} instance has no __call__ method"),
                                    );
                                    return self.refuse(stack, at, count, extra, raised);
                                }
                                _ => format!("'{name}' object is not callable"),
                            }
                        }
                        _ => format!("'{}' object is not callable", self.type_name(other)),
                    };
                    let raised = self.heap.raise(Builtin::TypeError, &message);
                    return self.refuse(stack, at, count, extra, raised);
                }
            }
        }
    }

    /// Drops callee and arguments of a call that fails.
    fn refuse(
        &mut self,
        stack: &mut [Value],
        at: usize,
        count: usize,
        extra: Extra,
        raised: Raised,
    ) -> Invoke {
        self.clear(stack, at, count + 1);
        extra.keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
        Invoke::Raised(raised)
    }

    /// Releases `count` stack places from `at` on.
    pub(crate) fn clear(&mut self, stack: &mut [Value], at: usize, count: usize) {
        for place in &mut stack[at..at + count] {
            let old = std::mem::replace(place, Value::Unset);
            self.heap.release(old);
        }
    }

    /// Makes room for one more argument in front and puts it there. Takes it over.
    fn insert_first(&mut self, stack: &mut Vec<Value>, at: usize, count: usize, first: Value) {
        Thread::reach(stack, at + count, &mut self.heap);
        stack.copy_within(at + 1..at + 1 + count, at + 2);
        stack[at + 1] = first;
    }

    /// Replaces a method by its function, with its object as first argument; how many more arguments.
    fn open_method(
        &mut self,
        stack: &mut Vec<Value>,
        at: usize,
        count: usize,
        method: Method,
    ) -> Outcome<usize> {
        let data = self.heap.methods[method];
        self.heap.retain(data.function);
        if data.object.is_unset() {
            let fits = count > 0 && self.heap.is_instance(stack[at + 1], data.class);
            if !fits {
                let message = self.unbound_message(stack, at, count, method);
                self.heap.release(data.function);
                return self.type_error(&message);
            }
            stack[at] = data.function;
            self.heap.release(Value::Method(method));
            return Ok(0);
        }
        let object = self.heap.share(data.object);
        self.insert_first(stack, at, count, object);
        stack[at] = data.function;
        self.heap.release(Value::Method(method));
        Ok(1)
    }

    fn unbound_message(&self, stack: &[Value], at: usize, count: usize, method: Method) -> String {
        let data = self.heap.methods[method];
        let name = match data.function {
            Value::Function(function) => self.heap.text(self.heap.functions[function].code.name),
            other => self.type_name(other),
        };
        let class = self.heap.text(self.heap.classes[data.class].name);
        let got = if count == 0 {
            "nothing".to_owned()
        } else {
            let class = match stack[at + 1] {
                Value::Instance(instance) => self.heap.instances[instance].class,
                other => self.heap.type_of(other),
            };
            format!("{} instance", self.heap.text(self.heap.classes[class].name))
        };
        format!(
            "unbound method {name}() must be called with {class} instance as first argument (got {got} instead)"
        )
    }

    /// The object of a built-in method: of the right class, and unwrapped if it is an
    /// instance of a subclass.
    fn fit_object(&mut self, stack: &mut [Value], at: usize, native: crate::heap::NativeId) -> Outcome<()> {
        let object = stack[at + 1];
        if let Value::Instance(instance) = object {
            if let Some(payload) = self.heap.plain_payload(instance) {
                self.heap.retain(payload);
                self.heap.release(object);
                stack[at + 1] = payload;
            }
        }
        // The class that has the method must be that of the object.
        let owner = self.native_owner(native);
        let object = stack[at + 1];
        match owner {
            Some(owner) if !self.heap.is_instance(object, owner) => {
                let name = self.native(native).name;
                let wanted = self.heap.text(self.heap.classes[owner].name);
                let given = self.type_name(object);
                self.type_error(&format!(
                    "descriptor '{name}' requires a '{wanted}' object but received a '{given}'"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Runs a native on arguments in the stack.
    fn run_native(
        &mut self,
        stack: &mut [Value],
        at: usize,
        count: usize,
        extra: Extra,
        call: super::native::NativeFn,
    ) -> Invoke {
        let result = {
            let args = Args { positional: &stack[at + 1..at + 1 + count], keywords: &extra.keywords };
            call(self, args)
        };
        self.clear(stack, at, count + 1);
        extra.keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
        match result {
            Ok(Flow::Value(value)) => Invoke::Value(value),
            Ok(flow) => Invoke::Flow(flow),
            Err(raised) => Invoke::Raised(raised),
        }
    }

    /// Binds the arguments of a program function.
    fn enter(
        &mut self,
        stack: &mut Vec<Value>,
        at: usize,
        count: usize,
        function: Function,
        extra: Extra,
    ) -> Invoke {
        let code = Rc::clone(&self.heap.functions[function].code);
        Thread::reach(stack, at + count, &mut self.heap);
        if extra.keywords.is_empty() && usize::from(code.arity) == count {
            return Invoke::Enter(code);
        }
        match self.bind_arguments(stack, at, count, function, &code, extra) {
            Ok(()) => Invoke::Enter(code),
            Err(raised) => Invoke::Raised(raised),
        }
    }

    /// Binds arguments the long way; on failure everything is consumed.
    fn bind_arguments(
        &mut self,
        stack: &mut [Value],
        at: usize,
        count: usize,
        function: Function,
        code: &Code,
        extra: Extra,
    ) -> Outcome<()> {
        let parameters = usize::from(code.parameters);
        let given_keywords = extra.keywords.len();
        let mut values: Vec<Value> = stack[at + 1..at + 1 + count].to_vec();
        stack[at + 1..at + 1 + count].fill(Value::Unset);
        let surplus: Vec<Value> =
            if values.len() > parameters { values.split_off(parameters) } else { Vec::new() };
        values.resize(parameters, Value::Unset);
        let mut rest = surplus;
        let mut others: Vec<(Str, Value)> = Vec::new();
        let mut problem: Option<String> = None;
        let defaults = self.heap.functions[function].defaults.len();
        if parameters == 0 && !code.star && !code.double_star && count + given_keywords > 0 {
            let name = self.heap.text(code.name);
            problem = Some(format!("{name}() takes no arguments ({} given)", count + given_keywords));
        } else if !rest.is_empty() && !code.star {
            let quantity = if defaults > 0 { "at most" } else { "exactly" };
            let name = self.heap.text(code.name);
            problem = Some(count_message(&name, quantity, parameters, count + given_keywords));
        }
        for (key, value) in extra.keywords {
            let place = (1..=parameters).find(|register| code.local_names[*register] == key);
            match place {
                _ if problem.is_some() => self.heap.release(value),
                Some(register) if values[register - 1].is_unset() => values[register - 1] = value,
                Some(_) => {
                    let (name, key) = (self.heap.text(code.name), self.heap.text(key));
                    problem = Some(format!("{name}() got multiple values for keyword argument '{key}'"));
                    self.heap.release(value);
                }
                None if code.double_star => {
                    if others.iter().any(|(known, _)| *known == key) {
                        let (name, key) = (self.heap.text(code.name), self.heap.text(key));
                        problem = Some(format!("{name}() got multiple values for keyword argument '{key}'"));
                        self.heap.release(value);
                    } else {
                        others.push((key, value));
                    }
                }
                None => {
                    let (name, key) = (self.heap.text(code.name), self.heap.text(key));
                    problem = Some(format!("{name}() got an unexpected keyword argument '{key}'"));
                    self.heap.release(value);
                }
            }
        }
        if problem.is_none() {
            // What has been bound, defaults not counted: 2.7's "given".
            let given = values.iter().filter(|value| !value.is_unset()).count();
            for (register, place) in values.iter_mut().enumerate() {
                if place.is_unset() {
                    if register + defaults >= parameters {
                        let value = self.heap.functions[function].defaults[register + defaults - parameters];
                        *place = self.heap.share(value);
                    } else {
                        let quantity = if code.star || defaults > 0 { "at least" } else { "exactly" };
                        let name = self.heap.text(code.name);
                        problem = Some(count_message(&name, quantity, parameters - defaults, given));
                        break;
                    }
                }
            }
        }
        if let Some(message) = problem {
            values.into_iter().for_each(|value| self.heap.release(value));
            rest.into_iter().for_each(|value| self.heap.release(value));
            others.into_iter().for_each(|(_, value)| self.heap.release(value));
            self.clear(stack, at, 1);
            return self.type_error(&message);
        }
        let mut register = at + 1;
        for value in values {
            stack[register] = value;
            register += 1;
        }
        if code.star {
            stack[register] = self.heap.new_tuple(&std::mem::take(&mut rest));
            register += 1;
        }
        if code.double_star {
            let dict = self.heap.new_dict();
            stack[register] = Value::Dict(dict);
            for (key, value) in others {
                self.heap.dict_set(dict, Value::Str(key), value)?;
            }
        }
        Ok(())
    }

    /// Calls a class.
    fn construct(
        &mut self,
        stack: &mut Vec<Value>,
        at: usize,
        count: usize,
        extra: Extra,
        class: Class,
    ) -> Invoke {
        let data = &self.heap.classes[class];
        let (style, layout) = (data.style, data.layout);
        if let Some(constructor) = self.constructor(class) {
            // A built-in type: the class itself is the first argument.
            let first = self.heap.share(Value::Class(class));
            self.insert_first(stack, at, count, first);
            return self.run_native(stack, at, count + 1, extra, constructor);
        }
        let init = self.heap.class_attribute(class, self.names.init);
        let program_init = match init {
            Some((value @ (Value::Function(_) | Value::Method(_)), _)) => Some(value),
            Some((value, owner)) if self.heap.classes[owner].style != Style::Builtin => Some(value),
            _ => None,
        };
        let mutable = matches!(layout, Builtin::List | Builtin::Dict | Builtin::Set);
        let payload = match (style, layout) {
            (Style::Builtin, Builtin::BaseException) | (Style::New, Builtin::BaseException) => {
                if program_init.is_none() {
                    if let Some(constructor) = self.inherited_constructor(class) {
                        let first = self.heap.share(Value::Class(class));
                        self.insert_first(stack, at, count, first);
                        return self.run_native(stack, at, count + 1, extra, constructor);
                    }
                    if !extra.keywords.is_empty() {
                        let name = self.heap.text(self.heap.classes[class].name);
                        let raised = self
                            .heap
                            .raise(Builtin::TypeError, &format!("{name} does not take keyword arguments"));
                        return self.refuse(stack, at, count, extra, raised);
                    }
                }
                // The arguments are set by the `__init__` of the built-in class, if the program's calls it.
                let args = if program_init.is_some() { &[] } else { &stack[at + 1..at + 1 + count] };
                args.iter().for_each(|item| self.heap.retain(*item));
                let items = args.to_vec();
                self.heap.new_tuple(&items)
            }
            (Style::Builtin, _) if class != Builtin::Object.class() => {
                let name = self.heap.text(self.heap.classes[class].name);
                let raised =
                    self.heap.raise(Builtin::TypeError, &format!("cannot create '{name}' instances"));
                return self.refuse(stack, at, count, extra, raised);
            }
            (Style::New, layout) if layout != Builtin::Object => {
                let Some(constructor) = self.constructor(layout.class()) else {
                    let raised = self.heap.raise(Builtin::TypeError, "this type cannot be subclassed");
                    return self.refuse(stack, at, count, extra, raised);
                };
                // Mutable types are filled by __init__, the others when they are made.
                let empty = mutable && program_init.is_some();
                let result = {
                    let mut all = vec![Value::Class(layout.class())];
                    if !empty {
                        all.extend_from_slice(&stack[at + 1..at + 1 + count]);
                    }
                    let keywords = if empty { &[][..] } else { &extra.keywords[..] };
                    constructor(self, Args { positional: &all, keywords })
                };
                match result {
                    Ok(Flow::Value(payload)) => payload,
                    Ok(flow) => {
                        // What is under way has its own shares of them.
                        extra.keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
                        return self.construct_later(stack, at, count, (class, program_init), flow);
                    }
                    Err(raised) => return self.refuse(stack, at, count, extra, raised),
                }
            }
            _ => Value::Unset,
        };
        let Some(init) = program_init else {
            if payload.is_unset() && (count > 0 || !extra.keywords.is_empty()) {
                let message = match style {
                    Style::Old => "this constructor takes no arguments",
                    _ => "object() takes no parameters",
                };
                let raised = self.heap.raise(Builtin::TypeError, message);
                return self.refuse(stack, at, count, extra, raised);
            }
            let instance = self.heap.new_instance(class, payload);
            self.clear(stack, at, count + 1);
            extra.keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
            return Invoke::Value(instance);
        };
        if let (Value::Function(function), Value::Unset) = (init, payload) {
            // Next time the loop enters it by itself.
            self.heap.classes[class].init = Some((self.heap.class_epoch, function));
        }
        let instance = self.heap.new_instance(class, payload);
        // Only functions and methods of types are bound to the instance.
        let bound = match init {
            Value::Native(native) => self.native(native).method,
            _ => true,
        };
        if bound {
            self.heap.retain(instance);
            self.insert_first(stack, at, count, instance);
        }
        self.heap.retain(init);
        self.heap.release(Value::Class(class));
        stack[at] = init;
        match self.invoke(stack, at, count + usize::from(bound), extra) {
            Invoke::Enter(code) => Invoke::EnterInit(code, instance),
            Invoke::Value(value) => match self.finish_init(value, instance) {
                Ok(instance) => Invoke::Value(instance),
                Err(raised) => Invoke::Raised(raised),
            },
            Invoke::Raised(raised) => {
                self.heap.release(instance);
                Invoke::Raised(raised)
            }
            other => {
                self.heap.release(instance);
                other
            }
        }
    }

    /// A call of a class whose built-in part is not made yet. An `__init__` of the program that follows gets the
    /// positional arguments: with keywords no built-in part takes its time.
    fn construct_later(
        &mut self,
        stack: &mut [Value],
        at: usize,
        count: usize,
        (class, init): (Class, Option<Value>),
        flow: Flow,
    ) -> Invoke {
        let arguments = match init {
            Some(_) => stack[at + 1..=at + count].to_vec(),
            None => Vec::new(),
        };
        arguments.iter().for_each(|argument| self.heap.retain(*argument));
        let init = init.map(|init| match init {
            Value::Native(native) => (init, self.native(native).method),
            _ => (self.heap.share(init), true),
        });
        self.heap.retain(Value::Class(class));
        self.clear(stack, at, count + 1);
        Invoke::Flow(chain_pending(flow, Box::new(Constructed { class, init, arguments })))
    }

    /// The constructor an exception class of the program inherits.
    fn inherited_constructor(&self, class: Class) -> Option<super::native::NativeFn> {
        self.heap.classes[class].mro.iter().find_map(|owner| self.constructor(*owner))
    }

    /// The end of an `__init__`: it must have returned `None`. Takes both over.
    pub(crate) fn finish_init(&mut self, result: Value, instance: Value) -> Outcome<Value> {
        if result.is_none() {
            return Ok(instance);
        }
        let name = self.type_name(result);
        let old = match instance {
            Value::Instance(instance) => self.is_old(instance),
            _ => false,
        };
        self.heap.release(result);
        self.heap.release(instance);
        if old {
            self.type_error("__init__() should return None")
        } else {
            self.type_error(&format!("__init__() should return None, not '{name}'"))
        }
    }

    fn is_old(&self, instance: Instance) -> bool {
        self.heap.classes[self.heap.instances[instance].class].style == Style::Old
    }
}

/// 2.7's text for a wrong number of arguments.
fn count_message(name: &str, quantity: &str, wanted: usize, given: usize) -> String {
    let s = if wanted == 1 { "" } else { "s" };
    format!("{name}() takes {quantity} {wanted} argument{s} ({given} given)")
}
