//! Who a process runs as: `USER` of an image, `-u` of a command.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// `user[:group]`, each a name or a number; numbers win over names that look like numbers (CVE-2016-3697).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserSpec {
    /// The user; absent is root.
    pub user: Option<IdOrName>,
    /// The group; absent is the user's own.
    pub group: Option<IdOrName>,
}

/// A number or a name to look up in the image's `/etc/passwd` or `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdOrName {
    /// A numeric id.
    Id(u32),
    /// A name.
    Name(String),
}

const NAME_MAX: usize = 256;

impl FromStr for UserSpec {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| Invalid::new("user", text, why).hint("write `NAME|UID[:GROUP|GID]`");
        let part = |part: &str| -> Result<Option<IdOrName>, Invalid> {
            if part.is_empty() {
                return Ok(None);
            }
            if part.bytes().all(|b| b.is_ascii_digit()) {
                let id = part.parse::<u32>().ok().filter(|id| *id <= i32::MAX as u32);
                return id.map(|id| Some(IdOrName::Id(id))).ok_or_else(|| bad("an id is at most 2147483647"));
            }
            if part.len() > NAME_MAX
                || part.bytes().any(|b| b.is_ascii_control() || matches!(b, b':' | b',' | b'/'))
            {
                return Err(bad("not a user or group name"));
            }
            Ok(Some(IdOrName::Name(part.to_owned())))
        };
        match text.split_once(':') {
            Some((user, group)) => Ok(Self { user: part(user)?, group: part(group)? }),
            None => Ok(Self { user: part(text)?, group: None }),
        }
    }
}

impl TryFrom<String> for UserSpec {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<UserSpec> for String {
    fn from(spec: UserSpec) -> String {
        let part = |p: &Option<IdOrName>| match p {
            None => String::new(),
            Some(IdOrName::Id(id)) => id.to_string(),
            Some(IdOrName::Name(name)) => name.clone(),
        };
        match &spec.group {
            None => part(&spec.user),
            Some(_) => format!("{}:{}", part(&spec.user), part(&spec.group)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let check = |text: &str, user: Option<IdOrName>, group: Option<IdOrName>| {
            let spec: UserSpec = text.parse().unwrap();
            assert_eq!(spec, UserSpec { user, group });
            assert_eq!(String::from(spec), text);
        };
        check("", None, None);
        check("1000", Some(IdOrName::Id(1000)), None);
        check("www-data:33", Some(IdOrName::Name("www-data".into())), Some(IdOrName::Id(33)));
        for bad in ["4294967295", "a:b:c", "../x", "a\nb", "99999999999"] {
            assert!(bad.parse::<UserSpec>().is_err(), "{bad:?}");
        }
    }
}
