//! Examples below the help of the main commands.

pub(super) const START: &str = "\
Examples:
  ddpipe init first && cd first            a project with a small pipeline
  ddpipe plan pipelines/quickstart.toml    what would run, and why
  ddpipe run pipelines/quickstart.toml     run it; after Ctrl-C it continues
  ddpipe stages distill                    the kinds of a group
  ddpipe stages distill.dm                 what one kind needs and gives";

pub(super) const RUN: &str = "\
Examples:
  ddpipe run pipelines/mnist.toml
  ddpipe run pipelines/mnist.toml --set vars.ipc=50 --set stages.distill.params.lr_img=1.0
  ddpipe run pipelines/mnist.toml --profile small --select 'distill[method=dm]'
  ddpipe run pipelines/own.toml --allow-commands    with kinds of its own
  ddpipe run pipelines/ci.toml --check              exit code 4 if an [[expect]] is missed";

pub(super) const PLAN: &str = "\
Examples:
  ddpipe plan pipelines/mnist.toml
  ddpipe plan pipelines/mnist.toml --set vars.ipc=50    what the change would run";

pub(super) const DIFF: &str = "\
Examples:
  ddpipe diff pipelines/mnist.toml --set stages.distill.params.lr_img=2.0
  ddpipe diff pipelines/mnist.toml 'evaluate[arch=mlp]' --set vars.ipc=50";

pub(super) const WHY: &str = "\
Examples:
  ddpipe why pipelines/mnist.toml 'distill[method=dm,seed=0]'
  ddpipe why pipelines/mnist.toml accuracy --set vars.ipc=50";

pub(super) const CHECK: &str = "\
Examples:
  ddpipe check pipelines/mnist.toml
  ddpipe check pipelines/mnist.toml --profile small";

pub(super) const SHOW: &str = "\
Examples:
  ddpipe show pipelines/mnist.toml distill    outputs and metrics of its nodes
  ddpipe show pipelines/mnist.toml 'distill[method=dm,seed=0]' --output synthetic --out dm.safetensors";

pub(super) const TABLE: &str = "\
Examples:
  ddpipe table pipelines/mnist.toml table --rows arch --columns method
  ddpipe table pipelines/mnist.toml table --value accuracy_std --param digits=1
  ddpipe table pipelines/mnist.toml table --over seed,arch --format latex --out table.tex";

pub(super) const LEDGER: &str = "\
Examples:
  ddpipe ledger pipelines/paper/mnist.toml
  ddpipe ledger pipelines/paper/mnist.toml --select 'evaluate[method=dm]' --margin 0.005
  ddpipe ledger pipelines/paper/mnist.toml --profile cpu --out docs/ledgers/mnist.json
  ddpipe ledger --update docs/results.md";

pub(super) const STAGES: &str = "\
Examples:
  ddpipe stages               all kinds, by group
  ddpipe stages distill       the kinds of a group
  ddpipe stages distill.dm    its inputs, outputs, parameters and metrics
  ddpipe stages own.count --manifest pipelines/own.toml";

pub(super) const SCHEMA: &str = "\
Examples:
  ddpipe schema > ddpipe.schema.json
  ddpipe schema pipelines/own.toml > ddpipe.schema.json    with its own kinds

In the first line of a manifest: #:schema ../ddpipe.schema.json";

pub(super) const INIT: &str = "\
Examples:
  ddpipe init first
  ddpipe init --from own-kind my-method
  ddpipe init --from folder .";

pub(super) const PUSH: &str = "\
Examples:
  ddpipe cache push --remote file:///mnt/lab/ddpipe                            everything
  ddpipe cache push pipelines/mnist.toml --remote file:///mnt/lab/ddpipe       what is on record of a manifest";

pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(ddpipe completions bash)    in ~/.bashrc
  source <(ddpipe completions zsh)     in ~/.zshrc, after compinit
  ddpipe completions fish | source     in ~/.config/fish/config.fish";

pub(super) const EXPORT: &str = "\
Examples:
  ddpipe export pipelines/mnist.toml --tensorboard tb      then: tensorboard --logdir tb
  ddpipe export --run last --mlflow mlruns                 then: mlflow ui --backend-store-uri mlruns
  ddpipe export pipelines/mnist.toml --crate crate         the run with its manifest, results and digests, for an archive
  ddpipe export pipelines/mnist.toml --huggingface set --select 'distill[method=dm,seed=0]'";

pub(super) const REPORT: &str = "\
Examples:
  ddpipe report pipelines/mnist.toml                       the newest run, into report.html
  ddpipe report pipelines/mnist.toml --run 2026 -o r.html  a run that `ddpipe runs` lists
  ddpipe report pipelines/mnist.toml --now                 what is on record, whatever runs there were";
