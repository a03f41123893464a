//! List sorting: an adaptive merge sort that asks the same comparisons, in the same order, as CPython's `list.sort`
//! (a program's `cmp` function sees them).
//!
//! What is sorted are positions: the caller keeps the values, so a program that fails half way loses nothing. The
//! algorithm is written once over [`Less`]; answers come at once for built-in values, or later, when the comparison is
//! a program's function ([`SortMachine`]).
use super::job::{Fuel, Job};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Consecutive wins of one run after which merging goes over to galloping.
const MIN_GALLOP: usize = 7;

/// Answers whether the value at the first position is less than the one at the second.
pub trait Less {
    /// Why a comparison failed; ends the sort.
    type Error;
    /// `values[a] < values[b]`
    fn less(&self, a: u32, b: u32) -> impl Future<Output = Result<bool, Self::Error>>;
}

/// A comparison that answers at once.
#[derive(Debug)]
pub struct Immediate<F>(pub F);

impl<E, F: Fn(u32, u32) -> Result<bool, E>> Less for Immediate<F> {
    type Error = E;
    async fn less(&self, a: u32, b: u32) -> Result<bool, E> {
        (self.0)(a, b)
    }
}

struct Sorter<'a, L: Less> {
    list: Vec<u32>,
    spare: Vec<u32>,
    less: &'a L,
    min_gallop: usize,
    /// Runs not merged yet: start and length.
    pending: Vec<(usize, usize)>,
}

/// Sorts `list` (positions) by `less`, stably.
pub async fn sort<L: Less>(list: Vec<u32>, less: &L) -> Result<Vec<u32>, L::Error> {
    let mut sorter = Sorter { list, spare: Vec::new(), less, min_gallop: MIN_GALLOP, pending: Vec::new() };
    sorter.run().await?;
    Ok(sorter.list)
}

fn minimum_run(mut length: usize) -> usize {
    let mut odd = 0;
    while length >= 64 {
        odd |= length & 1;
        length >>= 1;
    }
    length + odd
}

impl<L: Less> Sorter<'_, L> {
    async fn run(&mut self) -> Result<(), L::Error> {
        let mut left = self.list.len();
        if left < 2 {
            return Ok(());
        }
        let minimum = minimum_run(left);
        let mut start = 0;
        while left > 0 {
            let (mut length, descending) = self.count_run(start).await?;
            if descending {
                self.list[start..start + length].reverse();
            }
            if length < minimum {
                let force = left.min(minimum);
                self.insert_binary(start, start + force, start + length).await?;
                length = force;
            }
            self.pending.push((start, length));
            self.collapse().await?;
            start += length;
            left -= length;
        }
        self.collapse_all().await
    }

    async fn less(&self, a: u32, b: u32) -> Result<bool, L::Error> {
        self.less.less(a, b).await
    }

    async fn count_run(&self, start: usize) -> Result<(usize, bool), L::Error> {
        let list = &self.list[start..];
        if list.len() < 2 {
            return Ok((list.len(), false));
        }
        let descending = self.less(list[1], list[0]).await?;
        let mut length = 2;
        while length < list.len() && self.less(list[length], list[length - 1]).await? == descending {
            length += 1;
        }
        Ok((length, descending))
    }

    async fn insert_binary(&mut self, low: usize, high: usize, sorted: usize) -> Result<(), L::Error> {
        for at in sorted.max(low + 1)..high {
            let pivot = self.list[at];
            let (mut left, mut right) = (low, at);
            while left < right {
                let middle = left + (right - left) / 2;
                if self.less(pivot, self.list[middle]).await? {
                    right = middle;
                } else {
                    left = middle + 1;
                }
            }
            self.list.copy_within(left..at, left + 1);
            self.list[left] = pivot;
        }
        Ok(())
    }

    async fn collapse(&mut self) -> Result<(), L::Error> {
        while self.pending.len() > 1 {
            let runs = &self.pending;
            let mut at = runs.len() - 2;
            let length = |index: usize| runs[index].1;
            if (at > 0 && length(at - 1) <= length(at) + length(at + 1))
                || (at > 1 && length(at - 2) <= length(at - 1) + length(at))
            {
                if length(at - 1) < length(at + 1) {
                    at -= 1;
                }
            } else if length(at) > length(at + 1) {
                return Ok(());
            }
            self.merge_at(at).await?;
        }
        Ok(())
    }

    async fn collapse_all(&mut self) -> Result<(), L::Error> {
        while self.pending.len() > 1 {
            let mut at = self.pending.len() - 2;
            if at > 0 && self.pending[at - 1].1 < self.pending[at + 1].1 {
                at -= 1;
            }
            self.merge_at(at).await?;
        }
        Ok(())
    }

    async fn merge_at(&mut self, at: usize) -> Result<(), L::Error> {
        let (mut start, mut first) = self.pending[at];
        let (second_start, mut second) = self.pending[at + 1];
        self.pending[at].1 = first + second;
        self.pending.remove(at + 1);
        // Elements of the first run already in place stay.
        let key = self.list[second_start];
        let skip = self.gallop_right(key, &self.list[start..start + first], 0).await?;
        start += skip;
        first -= skip;
        if first == 0 {
            return Ok(());
        }
        let key = self.list[start + first - 1];
        second = self.gallop_left(key, &self.list[second_start..second_start + second], second - 1).await?;
        if second == 0 {
            return Ok(());
        }
        if first <= second {
            self.merge_low(start, first, second_start, second).await
        } else {
            self.merge_high(start, first, second_start, second).await
        }
    }

    /// Where `key` belongs in `run`, left of equals.
    async fn gallop_left(&self, key: u32, run: &[u32], hint: usize) -> Result<usize, L::Error> {
        let (mut last, mut offset) = (0usize, 1usize);
        let (mut low, mut high);
        if self.less(run[hint], key).await? {
            let most = run.len() - hint;
            while offset < most && self.less(run[hint + offset], key).await? {
                last = offset;
                offset = offset * 2 + 1;
            }
            offset = offset.min(most);
            (low, high) = (hint + last + 1, hint + offset);
        } else {
            let most = hint + 1;
            while offset < most && !self.less(run[hint - offset], key).await? {
                last = offset;
                offset = offset * 2 + 1;
            }
            offset = offset.min(most);
            (low, high) = ((hint + 1) - offset, hint - last);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.less(run[middle], key).await? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }

    /// Where `key` belongs in `run`, right of equals.
    async fn gallop_right(&self, key: u32, run: &[u32], hint: usize) -> Result<usize, L::Error> {
        let (mut last, mut offset) = (0usize, 1usize);
        let (mut low, mut high);
        if self.less(key, run[hint]).await? {
            let most = hint + 1;
            while offset < most && self.less(key, run[hint - offset]).await? {
                last = offset;
                offset = offset * 2 + 1;
            }
            offset = offset.min(most);
            (low, high) = ((hint + 1) - offset, hint - last);
        } else {
            let most = run.len() - hint;
            while offset < most && !self.less(key, run[hint + offset]).await? {
                last = offset;
                offset = offset * 2 + 1;
            }
            offset = offset.min(most);
            (low, high) = (hint + last + 1, hint + offset);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.less(key, run[middle]).await? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(high)
    }

    /// Merges when the first run is the shorter one: it moves to the spare room, output grows from the left.
    async fn merge_low(
        &mut self,
        start: usize,
        first: usize,
        second_start: usize,
        second: usize,
    ) -> Result<(), L::Error> {
        self.spare.clear();
        self.spare.extend_from_slice(&self.list[start..start + first]);
        let (mut to, mut a, mut b) = (start, 0usize, second_start);
        let (mut left_a, mut left_b) = (first, second);
        let mut threshold = self.min_gallop;
        self.list[to] = self.list[b];
        to += 1;
        b += 1;
        left_b -= 1;
        // `true` from the block: one element of A is left and it belongs behind what is left of B.
        let outcome: Result<bool, L::Error> = async {
            if left_b == 0 {
                return Ok(false);
            }
            if left_a == 1 {
                return Ok(true);
            }
            loop {
                let (mut wins_a, mut wins_b) = (0, 0);
                loop {
                    if self.less(self.list[b], self.spare[a]).await? {
                        self.list[to] = self.list[b];
                        (to, b, left_b) = (to + 1, b + 1, left_b - 1);
                        (wins_b, wins_a) = (wins_b + 1, 0);
                        if left_b == 0 {
                            return Ok(false);
                        }
                        if wins_b >= threshold {
                            break;
                        }
                    } else {
                        self.list[to] = self.spare[a];
                        (to, a, left_a) = (to + 1, a + 1, left_a - 1);
                        (wins_a, wins_b) = (wins_a + 1, 0);
                        if left_a == 1 {
                            return Ok(true);
                        }
                        if wins_a >= threshold {
                            break;
                        }
                    }
                }
                threshold += 1;
                loop {
                    threshold -= usize::from(threshold > 1);
                    self.min_gallop = threshold;
                    let count = self.gallop_right(self.list[b], &self.spare[a..a + left_a], 0).await?;
                    wins_a = count;
                    if count > 0 {
                        self.list[to..to + count].copy_from_slice(&self.spare[a..a + count]);
                        (to, a, left_a) = (to + count, a + count, left_a - count);
                        if left_a == 1 {
                            return Ok(true);
                        }
                        if left_a == 0 {
                            return Ok(false);
                        }
                    }
                    self.list[to] = self.list[b];
                    (to, b, left_b) = (to + 1, b + 1, left_b - 1);
                    if left_b == 0 {
                        return Ok(false);
                    }
                    let count = self.gallop_left(self.spare[a], &self.list[b..b + left_b], 0).await?;
                    wins_b = count;
                    if count > 0 {
                        self.list.copy_within(b..b + count, to);
                        (to, b, left_b) = (to + count, b + count, left_b - count);
                        if left_b == 0 {
                            return Ok(false);
                        }
                    }
                    self.list[to] = self.spare[a];
                    (to, a, left_a) = (to + 1, a + 1, left_a - 1);
                    if left_a == 1 {
                        return Ok(true);
                    }
                    if wins_a < MIN_GALLOP && wins_b < MIN_GALLOP {
                        break;
                    }
                }
                threshold += 1;
                self.min_gallop = threshold;
            }
        }
        .await;
        if matches!(outcome, Ok(true)) {
            self.list.copy_within(b..b + left_b, to);
            self.list[to + left_b] = self.spare[a];
        } else {
            self.list[to..to + left_a].copy_from_slice(&self.spare[a..a + left_a]);
        }
        outcome.map(|_| ())
    }

    /// Merges when the second run is the shorter one: it moves to the spare room, output grows from the right.
    async fn merge_high(
        &mut self,
        start: usize,
        first: usize,
        second_start: usize,
        second: usize,
    ) -> Result<(), L::Error> {
        self.spare.clear();
        self.spare.extend_from_slice(&self.list[second_start..second_start + second]);
        // Ends are exclusive: the next output goes to `to - 1`.
        let (mut to, mut left_a, mut left_b) = (second_start + second, first, second);
        let mut threshold = self.min_gallop;
        to -= 1;
        left_a -= 1;
        self.list[to] = self.list[start + left_a];
        // `true` from the block: one element of B is left and it belongs in front of what is left of A.
        let outcome: Result<bool, L::Error> = async {
            if left_a == 0 {
                return Ok(false);
            }
            if left_b == 1 {
                return Ok(true);
            }
            loop {
                let (mut wins_a, mut wins_b) = (0, 0);
                loop {
                    if self.less(self.spare[left_b - 1], self.list[start + left_a - 1]).await? {
                        (to, left_a) = (to - 1, left_a - 1);
                        self.list[to] = self.list[start + left_a];
                        (wins_a, wins_b) = (wins_a + 1, 0);
                        if left_a == 0 {
                            return Ok(false);
                        }
                        if wins_a >= threshold {
                            break;
                        }
                    } else {
                        (to, left_b) = (to - 1, left_b - 1);
                        self.list[to] = self.spare[left_b];
                        (wins_b, wins_a) = (wins_b + 1, 0);
                        if left_b == 1 {
                            return Ok(true);
                        }
                        if wins_b >= threshold {
                            break;
                        }
                    }
                }
                threshold += 1;
                loop {
                    threshold -= usize::from(threshold > 1);
                    self.min_gallop = threshold;
                    let run = &self.list[start..start + left_a];
                    let count = left_a - self.gallop_right(self.spare[left_b - 1], run, left_a - 1).await?;
                    wins_a = count;
                    if count > 0 {
                        (to, left_a) = (to - count, left_a - count);
                        self.list.copy_within(start + left_a..start + left_a + count, to);
                        if left_a == 0 {
                            return Ok(false);
                        }
                    }
                    (to, left_b) = (to - 1, left_b - 1);
                    self.list[to] = self.spare[left_b];
                    if left_b == 1 {
                        return Ok(true);
                    }
                    let key = self.list[start + left_a - 1];
                    let count = left_b - self.gallop_left(key, &self.spare[..left_b], left_b - 1).await?;
                    wins_b = count;
                    if count > 0 {
                        (to, left_b) = (to - count, left_b - count);
                        self.list[to..to + count].copy_from_slice(&self.spare[left_b..left_b + count]);
                        if left_b == 1 {
                            return Ok(true);
                        }
                        if left_b == 0 {
                            return Ok(false);
                        }
                    }
                    (to, left_a) = (to - 1, left_a - 1);
                    self.list[to] = self.list[start + left_a];
                    if left_a == 0 {
                        return Ok(false);
                    }
                    if wins_a < MIN_GALLOP && wins_b < MIN_GALLOP {
                        break;
                    }
                }
                threshold += 1;
                self.min_gallop = threshold;
            }
        }
        .await;
        if matches!(outcome, Ok(true)) {
            to -= left_a;
            self.list.copy_within(start..start + left_a, to);
            self.list[to - 1] = self.spare[0];
        } else {
            self.list[to - left_b..to].copy_from_slice(&self.spare[..left_b]);
        }
        outcome.map(|_| ())
    }
}

/// Sorts with a comparison that answers at once.
pub fn sort_now<E>(count: usize, less: impl Fn(u32, u32) -> Result<bool, E>) -> Result<Vec<u32>, E> {
    let less = Immediate(less);
    let mut future = std::pin::pin!(sort((0..count as u32).collect(), &less));
    let mut context = Context::from_waker(std::task::Waker::noop());
    loop {
        // Never pending: nothing in it waits.
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}

/// What [`SortMachine::advance`] wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum SortStep {
    /// The answer to: is the value at the first position less than the one at the second?
    Compare(u32, u32),
    /// Finished: the positions in sorted order.
    Done(Vec<u32>),
}

#[derive(Debug, Default)]
struct Exchange {
    question: Cell<Option<(u32, u32)>>,
    answer: Cell<Option<bool>>,
}

#[derive(Debug)]
struct Asking(Rc<Exchange>);

/// Waits for the answer to the question put into the exchange.
#[derive(Debug)]
struct Answer<'a>(&'a Exchange);

impl Future for Answer<'_> {
    type Output = bool;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<bool> {
        match self.0.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

impl Less for Asking {
    type Error = std::convert::Infallible;
    async fn less(&self, a: u32, b: u32) -> Result<bool, Self::Error> {
        self.0.question.set(Some((a, b)));
        Ok(Answer(&self.0).await)
    }
}

/// A sort whose comparisons are answered from outside, one at a time.
#[derive(Debug)]
pub struct SortMachine {
    exchange: Rc<Exchange>,
    job: Job<Vec<u32>>,
}

impl SortMachine {
    /// A sort of `count` values.
    pub fn new(count: usize) -> SortMachine {
        let exchange = Rc::new(Exchange::default());
        let asking = Asking(exchange.clone());
        let job = Job::new(|_: Fuel| async move {
            let Ok(order) = sort((0..count as u32).collect(), &asking).await;
            order
        });
        SortMachine { exchange, job }
    }

    /// Goes on with the answer to the last question (none at the first call).
    pub fn advance(&mut self, answer: Option<bool>) -> SortStep {
        self.exchange.answer.set(answer);
        loop {
            if let Some(order) = self.job.resume(u64::MAX) {
                return SortStep::Done(order);
            }
            if let Some((a, b)) = self.exchange.question.take() {
                return SortStep::Compare(a, b);
            }
        }
    }
}
