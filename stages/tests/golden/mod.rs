//! The golden cases, a file for each family: numbers of the authors' code against the production functions.

mod continual;
mod datadam;
mod dc;
mod dm;
mod dsa;
mod idc;
mod idx;
mod kd;
mod metrics;
mod mhist;
mod mtt;
mod nas;
mod networks;
mod pad;
mod psg;
mod ranking;
mod rded;
mod selection;
mod sgd_eval;
mod students;
