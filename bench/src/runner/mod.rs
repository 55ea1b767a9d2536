//! Runs the contenders in turn, on one core, and says what they cost.

pub mod contenders;
pub mod placement;
pub mod process;
pub mod report;
