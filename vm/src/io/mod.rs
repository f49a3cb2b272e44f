//! What natives do with the system that may take a while: sources, whose calls would wait, and work for another OS thread.
//!
//! | file | |
//! | --- | --- |
//! | `faults` | what calls of the system answer in tests of those that make them |
//! | `source` | sockets, pipes, children: a call that would wait parks the task until the system tells of a change |
//! | `work` | calls that hold an OS thread, in three parts |
//! | `policy` | what becomes of those: the blocking policy, exceptions, and what is known of each place that makes them |

mod faults;
mod policy;
pub(crate) mod source;
mod work;

pub(crate) use faults::FaultState;
pub use faults::{Call, FaultLevel, Faults};
pub(crate) use policy::Blocking;
pub use policy::{Policy, SiteReport};
pub use source::{Direction, Resource, Seen};
pub(crate) use source::{Source, SourceState, Told};
pub(crate) use work::{Job, Outcome, take_outcome};
