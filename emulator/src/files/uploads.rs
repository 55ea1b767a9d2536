//! Uploads that devices have begun and not ended. Pure: the time is given.

use std::collections::HashMap;

use jiff::Timestamp;

/// IoT Hub's limit for each device.
pub(crate) const MAX_ACTIVE: usize = 10;
/// How many that have expired are remembered for each device, to say so.
const MAX_EXPIRED: usize = 100;

/// An upload between its beginning and the device's word that it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) device: String,
    pub(crate) blob: String,
    expiry: Timestamp,
    number: u64,
}

/// Why an upload cannot be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The device has begun no such upload, or ended it.
    Never,
    Expired,
}

#[derive(Debug, Default)]
pub(super) struct Uploads {
    by_correlation: HashMap<String, Upload>,
    begun: u64,
}

impl Uploads {
    /// Begins one under `correlation`; false where the device has too many.
    pub(super) fn begin(
        &mut self,
        correlation: String,
        device: &str,
        blob: &str,
        expiry: Timestamp,
        now: Timestamp,
    ) -> bool {
        let of_device = |upload: &&Upload| upload.device == device;
        let active = self.by_correlation.values().filter(of_device).filter(|u| u.expiry > now).count();
        if active >= MAX_ACTIVE {
            return false;
        }
        self.forget_old(device, now);
        self.begun += 1;
        let upload = Upload { device: device.to_owned(), blob: blob.to_owned(), expiry, number: self.begun };
        self.by_correlation.insert(correlation, upload);
        true
    }

    fn forget_old(&mut self, device: &str, now: Timestamp) {
        let expired = |upload: &Upload| upload.device == device && upload.expiry <= now;
        let mut numbers: Vec<u64> =
            self.by_correlation.values().filter(|u| expired(u)).map(|u| u.number).collect();
        if numbers.len() > MAX_EXPIRED {
            numbers.sort_unstable();
            let oldest_kept = numbers[numbers.len() - MAX_EXPIRED];
            self.by_correlation.retain(|_, upload| !expired(upload) || upload.number >= oldest_kept);
        }
    }

    /// One that `device` may end: a device ends only its own.
    pub(super) fn find(&self, correlation: &str, device: &str, now: Timestamp) -> Result<&Upload, Unknown> {
        let known = self.by_correlation.get(correlation).filter(|upload| upload.device == device);
        match known {
            None => Err(Unknown::Never),
            Some(upload) if upload.expiry <= now => Err(Unknown::Expired),
            Some(upload) => Ok(upload),
        }
    }

    /// Forgets those of a device that is deleted: another one of its name has not begun them.
    pub(super) fn forget(&mut self, device: &str) {
        self.by_correlation.retain(|_, upload| upload.device != device);
    }

    pub(super) fn end(&mut self, correlation: &str) {
        self.by_correlation.remove(correlation);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_device_has_ten_at_once() {
        let mut uploads = Uploads::default();
        for number in 0..MAX_ACTIVE {
            assert!(uploads.begin(number.to_string(), "d", "d/x", at(100), at(0)));
        }
        assert!(!uploads.begin("more".into(), "d", "d/x", at(100), at(99)));
        assert!(uploads.begin("other".into(), "e", "e/x", at(100), at(0)));
        uploads.end("3");
        assert!(uploads.begin("again".into(), "d", "d/x", at(300), at(99)));
        // What has expired counts no more.
        for number in 0..MAX_ACTIVE - 1 {
            assert!(uploads.begin(format!("late{number}"), "d", "d/x", at(300), at(100)));
        }
        assert!(!uploads.begin("more".into(), "d", "d/x", at(300), at(100)));
    }

    #[test]
    fn an_upload_is_ended_once_in_time_and_by_its_device() {
        let mut uploads = Uploads::default();
        uploads.begin("a".into(), "d", "d/x", at(100), at(0));
        uploads.begin("b".into(), "d", "d/y", at(100), at(0));
        assert_eq!(uploads.find("a", "e", at(1)), Err(Unknown::Never));
        assert_eq!(uploads.find("a", "d", at(1)).unwrap().blob, "d/x");
        uploads.end("a");
        assert_eq!(uploads.find("a", "d", at(1)), Err(Unknown::Never));
        assert_eq!(uploads.find("b", "d", at(100)), Err(Unknown::Expired));
    }

    #[test]
    fn what_has_expired_is_forgotten_in_the_end() {
        let mut uploads = Uploads::default();
        for number in 0..1000 {
            assert!(uploads.begin(number.to_string(), "d", "d/x", at(number), at(number)));
        }
        assert!(uploads.by_correlation.len() <= MAX_EXPIRED + 2);
        assert_eq!(uploads.find("999", "d", at(2000)), Err(Unknown::Expired));
        assert_eq!(uploads.find("1", "d", at(2000)), Err(Unknown::Never));
    }
}
