//! The programs of `tests/c`: each compiled as C11 and as C++17 with every warning an error, linked with
//! the library, and run plainly and under valgrind against a local hub of its own. Those of `tests/cpp` likewise.
#![allow(clippy::unwrap_used, clippy::panic)]

mod build;
mod errors;
mod lab;
mod run;

mod cloud;
mod cpp;
mod cpp_header;
mod credentials;
mod doctor;
mod idle;
mod loops;
mod manual;
mod network;
mod reconnects;
mod simple;
mod symbols;
