//! Resumable computations.
//!
//! A kernel that may run for more than a few milliseconds is written as an `async` function over owned data that
//! spends fuel as it goes. [`Job::resume`] runs it until it is done or the fuel given is used up; the virtual machine
//! looks at timers and other green threads in between and resumes it later. There is no executor and no waker: the
//! compiler turns the function into a state machine, and nothing else of `async` is used.
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Fuel of one resumption of a job: about one unit per nanosecond on the machines this was measured on.
pub const STEP_FUEL: u64 = 2_000_000;

/// The fuel counter a job's function spends from.
#[derive(Clone, Debug, Default)]
pub struct Fuel {
    left: Rc<Cell<i64>>,
}

impl Fuel {
    /// Spends `units`; suspends the job once if that uses up what this step was given.
    pub fn spend(&self, units: u64) -> Spend<'_> {
        self.left.set(self.left.get().saturating_sub(i64::try_from(units).unwrap_or(i64::MAX)));
        Spend { fuel: self, suspended: false }
    }
}

/// What [`Fuel::spend`] returns: await it.
#[derive(Debug)]
pub struct Spend<'a> {
    fuel: &'a Fuel,
    suspended: bool,
}

impl Future for Spend<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.suspended || self.fuel.left.get() > 0 {
            return Poll::Ready(());
        }
        self.suspended = true;
        Poll::Pending
    }
}

/// A computation that can be run in steps.
pub struct Job<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    fuel: Fuel,
}

impl<T> std::fmt::Debug for Job<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Job")
    }
}

impl<T> Job<T> {
    /// A job made of the future that `start` returns; nothing runs yet.
    pub fn new<F: Future<Output = T> + 'static>(start: impl FnOnce(Fuel) -> F) -> Job<T> {
        let fuel = Fuel::default();
        Job { future: Box::pin(start(fuel.clone())), fuel }
    }

    /// Runs until done or until `units` of fuel are spent. A job must not be resumed after it gave its result.
    pub fn resume(&mut self, units: u64) -> Option<T> {
        self.fuel.left.set(i64::try_from(units).unwrap_or(i64::MAX));
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    /// Runs to the end in one go; for tests and for work known to be small.
    pub fn finish(mut self) -> T {
        loop {
            if let Some(value) = self.resume(u64::MAX) {
                return value;
            }
        }
    }
}
