#!/bin/sh
# Every command that writes a file, with everything that may stand at its output; and names that hold anything.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

synthetic_faces faces 2 4 32 3
tiny_config tiny.yaml
"$mcf" pretrain tiny.yaml --out run --quiet --set 'data.train=[faces]' --set schedule.epochs=1 \
    --set schedule.warmup_epochs=0 || exit 1
checkpoint=$(echo run/checkpoints/step-*)
cp "$source_dir/tests/import/timm.safetensors" timm.safetensors
step_config=$source_dir/tests/golden/one_block/config.yaml
golden=$source_dir/tests/golden/one_block
(cd faces && tar -cf ../faces.tar *)
ls faces/*/*.jpg >list.txt

# writes NAME OUT: the command NAME with its result at OUT
writes() {
    case $1 in
    embed) "$mcf" embed --checkpoint run --out "$2" faces.tar --quiet ;;
    export) "$mcf" export run --out "$2" --quiet ;;
    import) "$mcf" import timm.safetensors --kind timm --heads 2 --out "$2" --quiet ;;
    step) "$mcf" step "$step_config" --init "$golden/params.safetensors" --batch "$golden/batch.safetensors" --out "$2" --quiet ;;
    report) "$mcf" report run --quick --out "$2" --quiet ;;
    bench) "$mcf" bench data --set 'data.train=[faces]' --set data.workers=1 --seconds 0.05 --out "$2" ;;
    esac
}
commands="embed export import step report bench"

mkdir disk
for c in $commands; do
    # the results to compare with
    check "$c: a new file" writes $c "plain.$c"
    ln -s disk/$c link.$c
    check "$c: through a link to a place where nothing is" writes $c link.$c
    check "$c: the link stays and its target is written" test -L link.$c -a -s disk/$c
    chmod 640 disk/$c
    check "$c: through a link onto an old result" writes $c link.$c
    check "$c: the mode of a file that is replaced is kept" test "$(stat -c %a disk/$c)" = 640 -a -L link.$c
    mkfifo pipe.$c
    cat pipe.$c >from_pipe.$c &
    reader=$!
    writes $c pipe.$c >/dev/null 2>&1
    wait $reader
    check "$c: the pipe is still one, and its reader got the result" test -p pipe.$c -a -s from_pipe.$c
    case $c in report | bench) ;; *) check "$c: the same bytes" cmp plain.$c from_pipe.$c ;; esac
    mkdir folder.$c
    fails 1 "it is a directory" "$c: a directory is refused" writes $c folder.$c
    fails 1 "is a file where a directory is needed" "$c: a file in the place of a folder" writes $c list.txt/out
    for own in config.yaml log.jsonl $checkpoint/model.safetensors $checkpoint/state.json; do
        case $own in run/*) ;; *) own=run/$own ;; esac
        before=$(cksum <$own)
        writes $c $own >/dev/null 2>errors
        check "$c: $own is the run's own" test $? = 2 -a "$(cksum <$own)" = "$before"
    done
    ln -sf ../run/config.yaml disk/way
    writes $c disk/way >/dev/null 2>errors
    check "$c: a run's own file behind a link" test $? = 2
    for input in faces.tar tiny.yaml faces/000000/000000_000.jpg; do
        [ -f $input ] || input=$(find faces -name '*.jpg' | head -n 1)
        before=$(cksum <"$input")
        writes $c "$input" >/dev/null 2>errors
        check "$c: $input is kept" test $? = 2 -a "$(cksum <"$input")" = "$before"
    done
done

# The result of the command itself where its words go.
"$mcf" export run --out /dev/stdout 2>words | cat >stdout.safetensors
check "export to /dev/stdout is the file and nothing else" cmp stdout.safetensors plain.export
check "and its words go to stderr" grep -q "tensors written" words
"$mcf" export run --out /dev/stdout >redirected.safetensors 2>words
check "the same where stdout is a file" cmp redirected.safetensors plain.export

# Inputs of each command under another name.
same() { # WHAT INPUT COMMAND...
    what=$1 input=$2
    shift 2
    before=$(cksum <"$input")
    fails 2 "which would be lost" "$what" "$@"
    check "$what: it is as it was" test "$(cksum <"$input")" = "$before"
}
ln timm.safetensors hard.safetensors
same "import onto its source" timm.safetensors "$mcf" import timm.safetensors --kind timm --heads 2 --out ./timm.safetensors
same "import onto a second name of its source" timm.safetensors "$mcf" import timm.safetensors --kind timm --heads 2 --out hard.safetensors
same "export onto its source" plain.export "$mcf" export plain.export --out plain.export
same "embed onto its tar" faces.tar "$mcf" embed --checkpoint run --out faces.tar faces.tar
same "embed onto its list" list.txt "$mcf" embed --checkpoint run --out list.txt list.txt
same "embed onto its checkpoint" plain.export "$mcf" embed --checkpoint plain.export --out plain.export faces.tar
picture=$(find "$work/faces" -name '*.jpg' | head -n 1)
same "embed onto a picture of its folder" "$picture" "$mcf" embed --checkpoint run --out "$picture" faces
cp "$golden/params.safetensors" answers.safetensors
same "score onto its input" answers.safetensors "$mcf" score crop --in answers.safetensors --out answers.safetensors
same "a detector onto its source" answers.safetensors "$mcf" import answers.safetensors --kind mtcnn --out answers.safetensors
same "a page onto the run's config" run/config.yaml "$mcf" report run --quick --out run/config.yaml
fails 2 "lies in" "reconstruct into the folder of its images" "$mcf" reconstruct --checkpoint run --out faces faces
fails 2 "lies in it" "reconstruct into the folder of the list's images" "$mcf" reconstruct --checkpoint run \
    --out "$(dirname "$picture")" list.txt
fails 2 "lies in" "a run inside its pictures" "$mcf" pretrain tiny.yaml --out faces/run --set 'data.train=[faces]'

# Names of files hold anything: one clean line all the same.
bad=$(printf 'a\nmcf: \033[2Jb\377.jpg')
mkdir odd && cp list.txt "odd/$bad"
clean() { # FILE: no control character but the ends of lines
    ! LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177\377]')" "$1"
}
fails 1 '\n' "a missing file with an odd name" "$mcf" embed --checkpoint run --out o.safetensors "odd/none$bad"
check "its line is clean" clean errors
cp "$picture" odd/whole.jpg
"$mcf" embed --quiet --checkpoint run --out o.safetensors odd >words 2>errors
check "a picture left out with an odd name is one line" test "$(wc -l <errors)" = 1
check "that names it" grep -qF '\x1b[2Jb\xff.jpg' errors
check "and is clean" clean errors
"$mcf" embed --checkpoint run --out "$bad.safetensors" odd >words 2>errors
check "an output with an odd name is one line" test "$(wc -l <words)" = 1
check "which is clean" clean words
fails 2 'is not a command' "an odd command" "$mcf" "$bad"
check "which is clean" clean errors
fails 2 'nonsense' "an odd option" "$mcf" embed "--nonsense$bad"
check "which is clean" clean errors
cp -r run "run$bad"
"$mcf" report "run$bad" --quick --out page.html >words 2>errors
check "a page about a run with an odd name" clean page.html

# Sizes and disks.
limited() { (ulimit -f 1 && "$@"); }
fails 1 "(ulimit -f); raise the limit" "a file size limit is known before the work: export" limited "$mcf" export run --out big.safetensors
fails 1 "(ulimit -f); raise the limit" "a file size limit is known before the work: embed" limited "$mcf" embed --checkpoint run --out big.safetensors faces
fails 1 "(ulimit -f); raise the limit" "a file size limit is known before the work: pretrain" limited "$mcf" pretrain tiny.yaml --out big --quiet --set 'data.train=[faces]'
fails 1 "ile too large" "a file size limit is an error, not a death" limited "$mcf" report run --quick --out big.safetensors --quiet
check "nothing is left of it" test -z "$(ls big.safetensors* 2>/dev/null)"
if [ -f "$build/libfaults.so" ]; then
    near() { LD_PRELOAD=$build/libfaults.so MCF_FAULT_FREE=8192 "$@"; }
    fails 1 "big.safetensors: would take 2" "a disk without room is known before the work: embed" near "$mcf" embed --checkpoint run --out big.safetensors faces faces faces faces faces faces faces faces faces faces
    fails 1 "and its disk has 8.2 kB left; make room" "a disk without room is known before the work: export" near "$mcf" export run --out big.safetensors
    fails 1 "and its disk has 8.2 kB left; make room" "a disk without room is known before the work: import" near "$mcf" import timm.safetensors --kind timm --heads 2 --out big.safetensors
    fails 1 "a checkpoint of this run: big: would take" "a disk without room is known before the first step" near "$mcf" pretrain tiny.yaml --out big --quiet --set 'data.train=[faces]'
    check "and no step was made" test ! -s big/log.jsonl
    rm -rf big
    LD_PRELOAD=$build/libfaults.so MCF_FAULT_FREE=1000000 "$mcf" pretrain tiny.yaml --out big --set 'data.train=[faces]' --set schedule.epochs=1 --set schedule.warmup_epochs=0 >words 2>errors
    check "a disk that does not hold the checkpoints that are kept is said" grep -q 'the 3 checkpoints that are kept' errors
    check "a pipe needs no room" sh -c "LD_PRELOAD=$build/libfaults.so MCF_FAULT_FREE=8192 '$mcf' export run --out /dev/stdout --quiet | wc -c | grep -q '[0-9][0-9][0-9][0-9][0-9]'"
fi
# As a full disk: not a byte more may be written.
for words in --version --help "help embed" "embed --help" devices; do
    said=$(ulimit -f 0 && { "$mcf" $words 2>&1 >full.txt || echo "code $?"; })
    check "a full disk behind stdout is said: $words" test "${said#mcf: standard output: cannot be written}" != "$said"
    check "and fails: $words" test "${said%code 1}" != "$said"
done
done_testing
