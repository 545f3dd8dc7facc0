//! Projects that `ddpipe init` makes: each of them is read, and those that need nothing from outside run.

use crate::project::Project;

/// Template and manifest.
const ALL: [(&str, &str); 4] = [
    ("quickstart", "pipelines/quickstart.toml"),
    ("mnist", "pipelines/mnist.toml"),
    ("folder", "pipelines/pictures.toml"),
    ("own-kind", "pipelines/own.toml"),
];

#[test]
fn every_project_that_is_made_is_a_valid_one() {
    for (template, manifest) in ALL {
        let project = Project::new();
        let made = project.run(&["init", "--from", template]);
        made.ok().says(manifest).says(&format!("ddpipe run {manifest}"));
        project.run(&["check", manifest]).ok().says(": ok, ");
        assert!(project.read(manifest).contains(&format!("ddpipe run {manifest}")), "{template}");
        // The three commands are those of this project.
        let readme = project.read("README.md");
        assert!(readme.lines().filter(|line| line.starts_with("ddpipe ")).count() == 3, "{readme}");
        assert!(readme.contains(&format!("ddpipe run {manifest}")), "{readme}");
        assert!(project.read(".gitignore").contains(".ddpipe/"));
    }
}

#[test]
fn the_mnist_project_has_a_profile_that_is_smaller() {
    let project = Project::new();
    project.run(&["init", "--from", "mnist"]).ok();
    project.run(&["check", "pipelines/mnist.toml", "--profile", "small"]).ok();
}

#[test]
fn a_folder_of_another_name_is_made_and_nothing_is_overwritten() {
    let project = Project::new();
    project.run(&["init", "my first"]).ok().says("cd 'my first'");
    project.run(&["check", "my first/pipelines/quickstart.toml"]).ok();
    project.file("other/README.md", "mine");
    project.run(&["init", "other"]).code(2).says("other/README.md: there already; nothing was written");
    assert_eq!(project.read("other/README.md"), "mine");
    assert!(!project.path("other/pipelines").exists() && !project.path("other/.gitignore").exists());
    // A link that leads nowhere is not followed.
    std::fs::create_dir_all(project.path("third")).unwrap();
    std::os::unix::fs::symlink(project.path("away"), project.path("third/.gitignore")).unwrap();
    project.run(&["init", "third"]).code(2).says("third/.gitignore");
    assert!(!project.path("away").exists());
    project.file("file", "");
    project.run(&["init", "file/below"]).code(3).says("could not write file/below");
    project.run(&["init", "--from", "mnits"]).code(2).says("mnist");
}

#[test]
fn the_first_project_runs() {
    let project = Project::new();
    project.run(&["init"]).ok();
    let small: Vec<String> = [
        "digits.params.train=200",
        "digits.params.test=100",
        "distill.params.networks=2",
        "distill.params.width=8",
        "synthetic_images.matrix.arch=[\"mlp\"]",
        "synthetic_images.params.epochs=2",
        "real_images.matrix.arch=[\"mlp\"]",
        "real_images.params.epochs=2",
    ]
    .iter()
    .map(|set| format!("--set=stages.{set}"))
    .collect();
    let small: Vec<&str> = small.iter().map(String::as_str).collect();
    project.go("pipelines/quickstart.toml", &small).ok();
    assert!(project.read("results/quickstart/accuracy.md").contains("mlp"));
    assert!(project.path("results/quickstart/pictures.png").is_file());
}

#[test]
fn the_project_with_a_kind_of_its_own_runs() {
    let project = Project::new();
    project.run(&["init", "--from", "own-kind"]).ok().says("--allow-commands");
    project.run(&["run", "pipelines/own.toml"]).code(2).says("own.class_means").says("--allow-commands");
    let ran = project.go("pipelines/own.toml", &[]);
    ran.ok();
    let accuracy = |node: &str| ran.outcome(node)["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy("mean_images") > 0.3, "mean images: {}", accuracy("mean_images"));
    assert!(ran.outcome("means")["metrics"]["distance"].as_f64().unwrap() > 0.0);
    assert!(project.read("results/own/accuracy.md").contains("mean"));
    project.go("pipelines/own.toml", &[]).ok().ran(&[]);
    // What `tensors.py` says of the formats is part of the program too.
    project.edit("kinds/own/class_means/tensors.py", "Reads and writes", "Writes and reads");
    project.go("pipelines/own.toml", &[]).ok().ran(&["means"]);
}

#[test]
fn the_project_of_ones_own_pictures_says_what_is_missing_and_runs_with_them() {
    let project = Project::new();
    project.run(&["init", "--from", "folder"]).ok().says("put your pictures into data/pictures/<class>/");
    project.run(&["run", "pipelines/pictures.toml"]).code(2).says("data/pictures/cat/001.png");
    for (class, shade) in [("dark", 40u8), ("light", 200)] {
        for number in 0..5u8 {
            let picture = png_of(shade + number, 12);
            project.file(&format!("data/pictures/{class}/{number}.png"), picture);
        }
    }
    let small = ["--set=vars.networks=2", "--set=vars.ipc=1", "--set=vars.batch=4", "--set=vars.size=16"];
    let small = [small.as_slice(), &["--set=vars.epochs=2", "--set=vars.students=2"]].concat();
    let ran = project.go("pipelines/pictures.toml", &small);
    ran.ok();
    assert_eq!(ran.outcome("pictures")["metrics"]["train_images"], 8.0);
    assert_eq!(ran.outcome("pictures")["metrics"]["test_images"], 2.0);
    assert!(project.path("results/pictures/grid.png").is_file());
}

/// A square picture of one shade.
fn png_of(shade: u8, side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![shade; (side * side) as usize]).unwrap();
    writer.finish().unwrap();
    bytes
}
