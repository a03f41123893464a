//! Events: what happens when. Timers, callbacks and sleeps are green threads
//! of one loop over one heap of moments and one epoll set.

mod deadlines;
mod life;
mod profile;
mod session;
mod turn;

pub use deadlines::{Deadlines, Key};
pub use life::{run_program, Ending, Program};
pub use profile::Profile;
pub use session::run_session;
pub use turn::{limits_of, spawn, wake};
