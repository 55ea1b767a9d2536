//! Which version this is.

/// The version of this header.
pub const IOTHUB_VERSION_MAJOR: u32 = 0;
/// See IOTHUB_VERSION_MAJOR.
pub const IOTHUB_VERSION_MINOR: u32 = 1;
/// See IOTHUB_VERSION_MAJOR.
pub const IOTHUB_VERSION_PATCH: u32 = 0;

/// The version of the loaded library: major << 16 | minor << 8 | patch. Compare it with IOTHUB_VERSION,
/// which is that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn iothub_version() -> u32 {
    IOTHUB_VERSION_MAJOR << 16 | IOTHUB_VERSION_MINOR << 8 | IOTHUB_VERSION_PATCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_version_of_the_package() {
        let header = format!("{IOTHUB_VERSION_MAJOR}.{IOTHUB_VERSION_MINOR}.{IOTHUB_VERSION_PATCH}");
        assert_eq!(header, env!("CARGO_PKG_VERSION"));
        assert_eq!(iothub_version(), 0x0000_0100);
    }
}
