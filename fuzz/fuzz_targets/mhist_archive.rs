//! `readers::mhist_archive` of the stages under libFuzzer.

#![no_main]
#![allow(dead_code, clippy::unwrap_used, clippy::arc_with_non_send_sync)]

#[path = "../../stages/tests/host/mod.rs"]
mod host;
#[path = "../../stages/tests/fuzz/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| readers::mhist_archive(data));
