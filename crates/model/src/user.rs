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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
            let some = (!part.is_empty()).then(|| id_or_name(part).map_err(bad));
            some.transpose()
        };
        match text.split_once(':') {
            Some((user, group)) => Ok(Self { user: part(user)?, group: part(group)? }),
            None => Ok(Self { user: part(text)?, group: None }),
        }
    }
}

/// Neither is empty.
fn id_or_name(text: &str) -> Result<IdOrName, &'static str> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let id = text.parse::<u32>().ok().filter(|id| *id <= i32::MAX as u32);
        return id.map(IdOrName::Id).ok_or("an id is at most 2147483647");
    }
    let odd = |b: u8| b.is_ascii_control() || matches!(b, b':' | b',' | b'/');
    if text.is_empty() || text.len() > NAME_MAX || text.bytes().any(odd) {
        return Err("not a user or group name");
    }
    Ok(IdOrName::Name(text.to_owned()))
}

/// A group, as `--group-add` names it.
impl FromStr for IdOrName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        id_or_name(text).map_err(|why| Invalid::new("group", text, why).hint("write `NAME|GID`"))
    }
}

impl TryFrom<String> for IdOrName {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<IdOrName> for String {
    fn from(part: IdOrName) -> String {
        match part {
            IdOrName::Id(id) => id.to_string(),
            IdOrName::Name(name) => name,
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
        let part = |p: &Option<IdOrName>| p.clone().map(String::from).unwrap_or_default();
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
