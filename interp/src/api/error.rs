//! How API calls fail: exceptions for the program, and ends it cannot see.

use crate::host::SystemError;
use crate::meter::{DiskFull, LimitExceeded, WontDrain};

/// Classes of the exceptions that API calls raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Plain `Exception`.
    Exception,
    /// `TypeError`.
    TypeError,
    /// `ValueError`.
    ValueError,
    /// `KeyError`.
    KeyError,
    /// `IOError`.
    IoError,
    /// `OSError`.
    OsError,
    /// `AttributeError`.
    AttributeError,
    /// `StopIteration`.
    StopIteration,
    /// `socket.error`: not nameable by programs.
    SocketError,
    /// `socket.gaierror`: not nameable by programs.
    AddressError,
    /// `thread.error`: not nameable by programs.
    ThreadError,
    /// `namespace.NamespaceViolationError`: not nameable by programs.
    NamespaceViolation,
}

/// One exception to be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// Its class.
    pub class: Class,
    /// Its arguments.
    pub arguments: Arguments,
}

/// The arguments of an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// None at all (`StopIteration`).
    None,
    /// One text.
    Text(Vec<u8>),
    /// An error number with its text and, for files, the name: what
    /// `EnvironmentError` takes.
    System {
        /// The number.
        number: i32,
        /// The text for it.
        text: String,
        /// The file's name.
        name: Option<Vec<u8>>,
    },
}

/// An end of the run that no exception handler sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// `exitall()`.
    ExitAll,
    /// A write would have passed `diskused`.
    Disk(DiskFull),
    /// The channel to the broker broke: exit 70.
    BrokerLost,
}

/// Either way a call can fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The program gets an exception.
    Raise(ApiError),
    /// The run ends.
    Kill(Kill),
}

impl ApiError {
    /// An exception with one text.
    pub fn new(class: Class, text: impl Into<Vec<u8>>) -> ApiError {
        ApiError { class, arguments: Arguments::Text(text.into()) }
    }

    /// An exception for a kernel error, with the file's name where there is
    /// one.
    pub fn system(class: Class, error: SystemError, name: Option<&[u8]>) -> ApiError {
        let name = name.map(<[u8]>::to_vec);
        ApiError {
            class,
            arguments: Arguments::System { number: error.0, text: error.text().to_owned(), name },
        }
    }

    /// An exception with a number and its text, as `socket.error` has them.
    pub fn numbered(class: Class, number: i32, text: String) -> ApiError {
        ApiError { class, arguments: Arguments::System { number, text, name: None } }
    }

    /// Whether it says that this process, or the whole host, has no descriptor
    /// left.
    pub fn lacks_descriptors(&self) -> bool {
        matches!(self.arguments, Arguments::System { number: libc::EMFILE | libc::ENFILE, .. })
    }

    /// `StopIteration` as `next()` raises it.
    pub fn stop_iteration() -> ApiError {
        ApiError { class: Class::StopIteration, arguments: Arguments::None }
    }

    /// What `str()` of the exception gives (file names need no escapes:
    /// refused names never reach the kernel).
    pub fn text(&self) -> Vec<u8> {
        match &self.arguments {
            Arguments::None => Vec::new(),
            Arguments::Text(text) => text.clone(),
            Arguments::System { number, text, name } => {
                let mut shown = format!("[Errno {number}] {text}").into_bytes();
                if let Some(name) = name {
                    shown.extend_from_slice(b": '");
                    shown.extend_from_slice(name);
                    shown.push(b'\'');
                }
                shown
            }
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Raise(error)
    }
}

impl From<DiskFull> for Failure {
    fn from(full: DiskFull) -> Self {
        Failure::Kill(Kill::Disk(full))
    }
}

impl From<WontDrain> for ApiError {
    fn from(error: WontDrain) -> Self {
        ApiError::new(Class::Exception, error.to_string())
    }
}

impl From<LimitExceeded> for ApiError {
    fn from(error: LimitExceeded) -> Self {
        ApiError::new(Class::Exception, error.to_string())
    }
}

impl From<LimitExceeded> for Failure {
    fn from(error: LimitExceeded) -> Self {
        Failure::Raise(error.into())
    }
}

impl From<WontDrain> for Failure {
    fn from(error: WontDrain) -> Self {
        Failure::Raise(error.into())
    }
}
