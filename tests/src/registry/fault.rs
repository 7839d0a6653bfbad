//! What goes wrong, and when.

use super::http::Request;

/// Which requests something happens to.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Of this method; empty: of every.
    pub method: &'static str,
    /// With this in the path or query.
    pub target: String,
    /// After so many of them went well.
    pub after: usize,
}

impl When {
    /// Every request with this in its path or query.
    pub fn target(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// The same of one method only.
    pub fn method(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), after: 0 }
    }

    /// The same, but the first `count` go well.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.after = count;
        self
    }

    fn fits(&self, request: &Request) -> bool {
        (self.method.is_empty() || self.method == request.method) && request.target.contains(&self.target)
    }
}

/// What happens instead of a proper answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers, beside those of its length.
        headers: Vec<(String, String)>,
        /// Its body.
        body: Vec<u8>,
    },
    /// A redirect to this address.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        to: String,
    },
    /// Too many requests: with this `Retry-After`.
    TooMany {
        /// Seconds or a date.
        retry_after: String,
    },
    /// The proper answer with its body's first byte changed.
    WrongByte,
    /// The proper answer, and the connection breaks after so many bytes of its body.
    Cut {
        /// How many.
        after: usize,
    },
    /// The proper answer without its length: the body ends with the connection.
    NoLength,
    /// The proper answer with these headers instead of its own of the same names.
    Headers(Vec<(String, String)>),
    /// A body that never ends.
    Endless,
    /// The connection breaks before there is an answer.
    Close,
    /// There is no answer until the registry ends.
    Silence,
    /// So many bytes of the body of the proper answer, and then nothing more.
    Stall {
        /// How many.
        after: usize,
    },
    /// `Range` isn't understood: everything comes.
    WholeRange,
    /// The connection breaks after so many bytes of the request's body; they are kept.
    CutRequest {
        /// How many.
        after: usize,
    },
    /// What isn't HTTP.
    Garbage,
}

impl Fault {
    /// An answer of this status and nothing else.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A page of a proxy or a hotel.
    pub fn html(status: u16) -> Self {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        Self::Answer { status, headers, body: b"<!doctype html><p>please log in</p>".to_vec() }
    }

    /// A registry's complaint.
    pub fn complaint(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self::Answer { status, headers, body: body.to_string().into_bytes() }
    }
}

/// A fault that is still to come.
pub(super) struct Planned {
    pub when: When,
    pub fault: Fault,
    pub times: usize,
}

/// What happens to `request`.
pub(super) fn next(planned: &mut Vec<Planned>, request: &Request) -> Option<Fault> {
    for plan in planned.iter_mut().filter(|plan| plan.when.fits(request)) {
        if plan.when.after > 0 {
            plan.when.after -= 1;
            continue;
        }
        plan.times -= 1;
        let fault = plan.fault.clone();
        planned.retain(|plan| plan.times > 0);
        return Some(fault);
    }
    None
}
