//! `readers::allowed` under libFuzzer.

#![no_main]

#[path = "../../tests/fuzz/readers/mod.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| readers::allowed(data));
