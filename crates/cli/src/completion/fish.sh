# Completion of @NAME@ for fish. For every shell:
#     @NAME@ completion fish > ~/.config/fish/completions/@NAME@.fish
# For this one: @NAME@ completion fish | source

function __@NAME@_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    # An empty word is a word too.
    test -z "$current"; and set current ''
    set -l lines (command $words[1] __complete $words[2..-1] $current 2>/dev/null)
    switch "$lines[1]"
        case ':files'
            __fish_complete_path $current
        case ':directories'
            __fish_complete_directories $current ''
        case '*'
            string join \n -- $lines
    end
end

complete --command @NAME@ --no-files --arguments '(__@NAME@_complete)'
