# Completion of ddpipe in fish.
function __ddpipe_offered
    # The words before the cursor, and the last one without its quotes.
    set -l typed (commandline --current-token --cut-at-cursor | string replace --all --regex '[\'"\\\\]' '')
    DDPIPE_COMPLETE=fish command ddpipe -- (commandline --current-process --tokenize --cut-at-cursor) "$typed" 2>/dev/null
end
complete --keep-order --exclusive --command ddpipe --arguments '(__ddpipe_offered)'
