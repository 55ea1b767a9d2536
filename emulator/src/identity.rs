//! Who a connection, a twin or a queue belongs to.

use std::fmt;
use std::sync::Arc;

/// A device, or a module of a device. Compared case-sensitively.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    device: Arc<str>,
    module: Option<Arc<str>>,
}

impl Identity {
    pub fn device(id: impl Into<Arc<str>>) -> Self {
        Self { device: id.into(), module: None }
    }

    pub fn module(device: impl Into<Arc<str>>, module: impl Into<Arc<str>>) -> Self {
        Self { device: device.into(), module: Some(module.into()) }
    }

    /// Reads `device` or `device/module`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((device, module)) => Self::module(device, module),
            None => Self::device(text),
        }
    }

    pub fn device_id(&self) -> &str {
        &self.device
    }

    pub fn module_id(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// Whether each id has 1 to 128 characters of the documented set.
    pub fn is_valid(&self) -> bool {
        let valid = |id: &str| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+%_#*?!(),=@$':;".contains(&b))
        };
        valid(&self.device) && self.module.as_deref().is_none_or(valid)
    }
}

/// The ClientId: `device` or `device/module`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            Some(module) => write!(f, "{}/{module}", self.device),
            None => f.write_str(&self.device),
        }
    }
}
