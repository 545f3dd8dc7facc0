//! Stage kinds driven from outside, as a worker drives them.

mod classifiers;
mod compare_table;
mod condensed_sets;
mod continual;
mod coresets;
mod data_path;
mod declarations;
mod decode_arrays;
mod decode_folder;
mod difficulty;
mod feature_regression;
mod gradient_matching;
mod knowledge;
mod matching;
mod pretrained;
mod private_sets;
mod promises;
mod ranking;
mod report_table;
mod sample_digits;
mod sample_polyps;
mod search_ipc;
mod searches;
mod split_mhist;
mod trajectories;
mod tuning;
