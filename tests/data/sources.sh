#!/bin/sh
# Data as other programs leave it: tars of every writer, keys with several pictures, indices of others, names without
# endings, links, pipes, folders without permission. Everything is looked at through `mcf embed`.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

tiny_config tiny.yaml
synthetic_faces faces 2 6 32 3
set -- faces/*/*.jpg
one=$1 two=$2 three=$3

# names WHAT... : the samples that embed finds, a line each, without what is in front of the last / or :
names() {
    rm -f got.safetensors
    timeout 60 "$mcf" embed --quiet --config tiny.yaml --out got.safetensors "$@" >words 2>errors || return 1
    head -c 100000 got.safetensors | tr -d '\000' | grep -o '"names":"\[.*\]"' | tr ',' '\n' | tr -d '\\"][' |
        sed 's/^names://; s/.*[:/]//'
}
# finds WHAT "NAME NAME..." INPUT...
finds() {
    what=$1 wanted=$2
    shift 2
    got=$(names "$@" | tr '\n' ' ')
    if [ "$got" = "$wanted " ]; then ok "$what"; else
        not_ok "$what"
        echo "  wanted: $wanted"
        echo "  got:    $got"
        cat errors
    fi
}
says() { # WHAT TEXT: the last command said it
    check "$1" grep -qF -- "$2" errors
}
silent() {
    check "$1" test ! -s errors
}

# --- tars as any writer makes them: odd members cost nothing behind them
mkdir members && cd members || exit 1
long=$(printf '%0150d' 7)
cp ../"$one" a.jpg
ln -s a.jpg b_symbolic.jpg
ln a.jpg c_hard.jpg
cp ../"$two" d_sparse.jpg && truncate -s 3M d_sparse.jpg
mkfifo e_pipe.jpg
mkdir f_folder && cp ../"$three" f_folder/g.jpg
cp ../"$one" "$long.jpg"
cp ../"$two" "$(printf 'h\303\251.jpg')"
cp ../"$three" z.jpg
cd ..
for format in v7 ustar oldgnu gnu posix; do
    case $format in v7 | ustar) deep= ;; *) deep=yes ;; esac
    (cd members && LC_ALL=C tar --format=$format --sort=name ${deep:+-S} -cf ../gnutar.$format.tar ${deep:-a.jpg b_symbolic.jpg c_hard.jpg d_sparse.jpg e_pipe.jpg f_folder hé.jpg z.jpg} ${deep:+.} 2>/dev/null)
    case $format in v7 | ustar) ;; *) (cd members && LC_ALL=C tar --format=$format --sort=name -S -cf ../gnutar.$format.tar ./*) ;; esac
    if [ $deep ]; then
        finds "GNU tar, $format: all but the sparse one and links by name" "$long.jpg a.jpg c_hard.jpg g.jpg hé.jpg z.jpg" gnutar.$format.tar
        says "GNU tar, $format: what is left out is said by name and type" "1 sparse file (d_sparse.jpg)"
    else
        finds "GNU tar, $format" "a.jpg c_hard.jpg d_sparse.jpg g.jpg hé.jpg z.jpg" gnutar.$format.tar
    fi
    says "GNU tar, $format: a symbolic link" "1 symbolic link (b_symbolic.jpg)"
    [ $format = v7 ] || says "GNU tar, $format: a pipe" "1 pipe (e_pipe.jpg)"
    finds "GNU tar, $format: again from its index" "$(names gnutar.$format.tar | tr '\n' ' ' | sed 's/ $//')" gnutar.$format.tar
    says "GNU tar, $format: and said again" "1 symbolic link (b_symbolic.jpg)"
done
for made in "$source_dir"/tests/data/tars/*.tar; do
    cp "$made" . && made=${made##*/}
    finds "$made" "$(cat "$source_dir/tests/data/tars/${made%.tar}.txt")" "$made"
done
"$mcf" embed --quiet --config tiny.yaml --out o.safetensors odd_members.tar >words 2>errors
says "odd members by type: another volume" "1 part of a file on another volume (b.jpg)"
check "a list of a directory is no file" sh -c '! grep -q d.jpg errors'
says "odd members by type: a symbolic link" "1 symbolic link (eee"
says "another tar behind the end" "what stands behind its end at byte 20480 (another tar?"
for sparse in 0.0 0.1 1.0; do
    (cd members && tar --format=posix -S --sparse-version=$sparse -cf ../sparse.tar a.jpg d_sparse.jpg z.jpg)
    rm -f sparse.tar.idx
    finds "a sparse member of version $sparse is left out by name" "a.jpg z.jpg" sparse.tar
    says "and said, $sparse" "1 sparse file (d_sparse.jpg)"
done
# sparse and as large as the whole tar is not
truncate -s 5G members/y_huge.jpg
(cd members && tar -S -cf ../huge.tar a.jpg y_huge.jpg z.jpg)
rm members/y_huge.jpg
finds "a sparse member of 5 GiB in a tar of some kilobytes" "a.jpg z.jpg" huge.tar
says "is said" "1 sparse file (y_huge.jpg)"
check "the tar is not called truncated" sh -c '! grep -q truncated errors'
(cd members && tar -cf ../links.tar c_hard.jpg a.jpg && tar --delete -f ../links.tar c_hard.jpg)
fails 2 "1 hard link to what is not in front of it (a.jpg)" "a hard link without its target is left out by name" \
    "$mcf" embed --config tiny.yaml --out o.safetensors links.tar

# --- a sample is a key
mkdir keys keys/s && cd keys || exit 1
for k in 1 2; do
    cp ../"$one" s/$k.seg.jpg
    cp ../"$two" s/$k.jpg
    cp ../"$three" s/$k.depth.jpg
    echo caption $k >s/$k.txt
done
cp ../"$one" s/3.seg.jpg
tar -cf ../keys.tar s/1.seg.jpg s/2.txt s/1.jpg s/1.depth.jpg s/2.seg.jpg s/2.depth.jpg s/2.jpg s/3.seg.jpg s/1.txt
tar -cf ../plain.tar s/1.jpg s/2.jpg
cd ..
finds "one picture a key, the plain one" "1.jpg 2.jpg 3.seg.jpg" keys.tar
says "what is taken is said" "2 keys have several pictures; of s/1 .jpg is taken, .seg.jpg is not: data.image_keys names others"
says "and a key that has no plain one" "1 keys have no plain picture and give another (s/3.seg.jpg)"
finds "data.image_keys takes another" "1.seg.jpg 2.seg.jpg 3.seg.jpg" --set data.image_keys=seg.jpg keys.tar
finds "or the first of several" "1.depth.jpg 2.depth.jpg 3.seg.jpg" --set 'data.image_keys=[depth.jpg, seg.jpg]' keys.tar
finds "keys without any are left out" "1.jpg 2.jpg" --set 'data.image_keys=[jpg]' keys.tar
says "and said" "1 keys have none of data.image_keys and are left out (s/3)"
finds "a shard of plain pictures" "1.jpg 2.jpg" plain.tar
silent "says nothing"

# --- indices
cp plain.tar other.tar && printf 'somebody else'\''s\n' >other.tar.idx
finds "a foreign index is no index" "1.jpg 2.jpg" other.tar
says "and is left alone, which is said" "other.tar.idx: another program's file, left alone; the index of this tar is other.tar.mcf.idx"
check "and is as it was" test "$(cat other.tar.idx)" = "somebody else's"
check "ours lies elsewhere" test -s other.tar.mcf.idx
finds "the second time" "1.jpg 2.jpg" other.tar
silent "nothing is left to say"
: >empty.tar.idx && cp plain.tar empty.tar
finds "an empty file of that name is foreign too" "1.jpg 2.jpg" empty.tar
check "and stays" test ! -s empty.tar.idx -a -f empty.tar.idx
cp plain.tar fifo.tar && mkfifo fifo.tar.idx
finds "a pipe of that name is nobody's index" "1.jpg 2.jpg" fifo.tar
check "and stays" test -p fifo.tar.idx
# a shard replaced by another of the same size and time: padded, and its times kept
mkdir replace && cp "$one" replace/1.jpg && cp "$two" replace/2.jpg && cp "$three" replace/8.jpg
(cd replace && tar -b 60 -cf ../moved.tar 1.jpg 2.jpg && tar -b 60 -cf ../later.tar 8.jpg 1.jpg)
touch -d '2020-01-01 00:00:00' moved.tar later.tar
check "two shards of one size" test "$(stat -c %s moved.tar)" = "$(stat -c %s later.tar)"
finds "the first" "1.jpg 2.jpg" moved.tar
cp -p later.tar moved.tar
finds "replaced under its own index: the new contents" "8.jpg 1.jpg" moved.tar
cp -p moved.tar copy.tar && cp -p moved.tar.idx copy.tar.idx
before=$(cksum <copy.tar.idx)
finds "a copy with its index" "8.jpg 1.jpg" copy.tar
# one member changed in place, time put back: nothing of it is silently wrong
(cd replace && tar -b 60 -cf ../inplace.tar 1.jpg 2.jpg 8.jpg)
touch -d '2020-01-01 00:00:00' inplace.tar
names inplace.tar >first.txt
at=$(($(stat -c %s replace/1.jpg) + 1023)) && at=$((at / 512))
printf x | dd of=inplace.tar bs=1 seek=$((at * 512)) conv=notrunc 2>/dev/null
touch -d '2020-01-01 00:00:00' inplace.tar
names inplace.tar >second.txt
check "a header that changed in place is noticed" sh -c '! cmp -s first.txt second.txt'

# --- identity is the folder under its root
mkdir -p a/p1 a/p2 b/p1 b/p2
i=0
for picture in faces/*/*.jpg; do
    set -- a/p1 a/p1 a/p2 a/p2 b/p1 b/p1 b/p2 b/p2
    shift $((i % 8)) && cp "$picture" "$1/$i.jpg"
    i=$((i + 1))
done
people() { "$mcf" embed --config tiny.yaml --retrieval --json "$@" 2>errors | grep -o '"people": *[0-9]*' | grep -o '[0-9]*$'; }
check "two people in one collection" test "$(people a)" = 2
check "four in two collections whose folders share names" test "$(people a b)" = 4
check "one folder named twice is one" test "$(people a a/p1 ./a//p2)" = 2
"$mcf" synth --out synth1 --count 8 --per-identity 4 --size 32 --seed 1 --quiet
"$mcf" synth --out synth2 --count 8 --per-identity 4 --size 32 --seed 2 --quiet
check "two outputs of synth are four people" test "$(people synth1 synth2)" = 4
check "of one synth only its pictures are read" test "$(names synth1 | wc -l)" = 8
(cd a && tar -cf ../a.tar p1 p2) && (cd b && tar -cf ../b.tar p1 p2)
check "two tars whose folders share names" test "$(people a.tar b.tar)" = 4
mkdir shards && cp a.tar shards/1.tar && cp a.tar shards/2.tar
check "a folder of shards is one collection" test "$(people shards)" = 2

# --- told by first bytes
mkdir bytes
cp "$one" bytes/plain && cp "$one" bytes/x.JFIF && cp "$one" bytes/x.jpe && cp "$one" bytes/x.dat
cp plain.tar bytes/shard
finds "pictures and tars by what they are" "plain x.JFIF x.jpe x.dat 1.jpg 2.jpg" bytes/plain bytes/x.JFIF bytes/x.jpe bytes/x.dat bytes/shard
printf '\357\273\277../%s\r\n../%s\n' "$one" "$two" >bytes/bom.txt
check "a byte-order mark at the start of a list" test "$(names bytes/bom.txt | wc -l)" = 2
silent "costs no line"
printf '\377\376a\000' >bytes/wide.txt
fails 1 "UTF-16" "a list in UTF-16" "$mcf" embed --config tiny.yaml --out o.safetensors bytes/wide.txt
for packer in gzip bzip2 xz zstd lz4; do
    command -v $packer >/dev/null || continue
    $packer -c plain.tar >bytes/p.tar.$packer
    cp bytes/p.tar.$packer bytes/p.tar
    for name in p.tar p.tar.$packer; do
        fails 1 "compressed ($packer)" "$name by $packer" "$mcf" embed --config tiny.yaml --out o.safetensors bytes/$name
    done
done
mkdir packed && gzip -c plain.tar >packed/p.tar.gz
fails 1 "compressed tars" "a folder of compressed tars" "$mcf" embed --config tiny.yaml --out o.safetensors packed
{
    printf '\357\273\277'
    cat tiny.yaml
} >bom.yaml
check "a byte-order mark at the start of a config" "$mcf" embed --config bom.yaml --out o.safetensors "$one"

# --- nothing waits
mkdir waits && mkfifo waits/pipe.jpg && cp "$one" waits/a.jpg
fails 1 "is a pipe" "a pipe among the images" timeout 20 "$mcf" embed --config tiny.yaml --out o.safetensors waits/pipe.jpg
finds "a pipe in a folder is passed over" "a.jpg" waits
says "with a note" "1 pipes, sockets or devices with a picture's name are passed over"
echo waits/pipe.jpg >waits.txt && echo "$one" >>waits.txt
check "a pipe in a list" timeout 20 "$mcf" embed --config tiny.yaml --out o.safetensors waits.txt
mkfifo pipe
fails 1 "is a pipe" "a pipe as checkpoint" timeout 20 "$mcf" embed --checkpoint pipe --out o.safetensors "$one"
fails 1 "is a pipe" "a pipe as import's source" timeout 20 "$mcf" import pipe --kind timm --out o.safetensors
ln -s nowhere waits/lost.jpg && ln -s . waits/up
finds "links that lead nowhere, or round" "a.jpg" waits
says "are said" "links that lead nowhere are passed over"
says "both" "links to a directory above themselves are passed over"
mkdir found && cp "$one" found/a.jpg && mkdir -m 0 found/lost+found
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 . && chmod -R a+rX found tiny.yaml && chmod 0 found/lost+found && mkdir -m 777 out
    as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
    if as_nobody test -r found/a.jpg -a -x "$mcf"; then
        as_nobody "$mcf" embed --config tiny.yaml --out out/o.safetensors found >words 2>errors
        check "a folder that may not be read is passed over" test $? = 0
        says "with a note" "directories that may not be read are passed over (found/lost+found)"
    fi
elif [ "$(id -u)" != 0 ]; then
    finds "a folder that may not be read is passed over" "a.jpg" found
    says "with a note" "directories that may not be read are passed over (found/lost+found)"
fi
chmod 700 found/lost+found
# a command ends on SIGTERM, also while it waits for the reader of a pipe
mkfifo reader
timeout -k 30 2 "$mcf" embed --config tiny.yaml --out reader "$one" >/dev/null 2>errors
check "SIGTERM ends a command that waits" test $? = 124

# --- notes reach every command that reads images
"$mcf" pretrain tiny.yaml --out run --set 'data.train=[keys.tar, faces]' --set schedule.epochs=1 --set schedule.warmup_epochs=0 >words 2>errors
says "pretrain says it" "2 keys have several pictures"
"$mcf" embed --checkpoint run --out o.safetensors keys.tar >words 2>errors
says "embed says it" "2 keys have several pictures"
"$mcf" reconstruct --checkpoint run --out pictures keys.tar >words 2>errors
says "reconstruct says it" "2 keys have several pictures"
"$mcf" report run --out page.html --images keys.tar >words 2>errors
says "report says it" "2 keys have several pictures"
head -c 9000 keys.tar >cut.tar
"$mcf" reconstruct --checkpoint run --out pictures cut.tar >words 2>errors
says "a cut shard is said by reconstruct" "cut.tar: truncated"

# --- valid, but not read: said so, not called damaged
LC_ALL=C sed 's/\xff\xc0/\xff\xc3/' "$one" >lossless.jpg
fails 1 "a JPEG of a kind that is not read (Unsupported JPEG process: SOF type 0xc3); convert it" "a lossless JPEG" \
    "$mcf" embed --quiet --config tiny.yaml --out o.safetensors lossless.jpg

mkdir mixed && cp "$one" mixed/a.jpg && cp lossless.jpg mixed/b.jpg && head -c 400 "$two" >mixed/c.jpg
printf 'GIF89a\001\000\001\000' >mixed/d.jpg && cp "$three" mixed/e.jpg
"$mcf" embed --config tiny.yaml --out o.safetensors mixed >words 2>errors
says "embed counts what it leaves out" "3 images left out as unreadable, the first: mixed/b.jpg: "
says "embed counts valid pictures of other kinds by themselves" \
    "2 of these are not damaged but of a kind that is not read, the first: mixed/b.jpg: a JPEG of a kind that is not read"
"$mcf" embed --config tiny.yaml --out o.safetensors mixed --json 2>errors | tr -d ' ' >words
check "so does its JSON" grep -q '"broken":3,"unsupported":2' words
"$mcf" reconstruct --checkpoint run --out pictures mixed >words 2>errors
says "reconstruct counts them" "2 of these are not damaged but of a kind that is not read"
cp -r faces found && mkdir found/others && cp mixed/b.jpg mixed/c.jpg mixed/d.jpg found/others
"$mcf" report run --out page.html --images found >words 2>errors
check "the report counts them" grep -q '3 images could not be read (2 of a kind that is not read)' page.html
"$mcf" data check tiny.yaml --set 'data.train=[mixed]' --set 'data.validation=[]' >words 2>errors
check "data check counts them" grep -q 'not damaged but of a kind that is not read: 2' words
cp lossless.jpg faces/lossless.jpg
"$mcf" pretrain tiny.yaml --out kinds --set 'data.train=[faces]' --set schedule.epochs=2 --set schedule.warmup_epochs=0 --set batch.per_device=13 >words 2>errors
check "pretrain counts them in the log" grep -q '"broken":2,"unsupported":2' kinds/log.jsonl
check "and in the state" grep -q '"unsupported": *2' kinds/checkpoints/step-*/state.json
rm -f faces/lossless.jpg

# --- names of broken pictures are data from outside: bytes that are no UTF-8, and longer than any buffer
cp -r faces odd
printf x >"$(printf 'odd/bad\377\n.jpg')"
deep=odd/$(printf 'h\303\251%.0s' $(seq 80))/$(printf '\303\251%.0s' $(seq 120))/$(printf 'a\303\251%.0s' $(seq 70))
mkdir -p "$deep" && printf x >"$deep/last.jpg"
odd() {
    timeout 60 "$mcf" pretrain tiny.yaml --out oddly --set 'data.train=[odd]' --set schedule.epochs=2 --set schedule.warmup_epochs=0 --set batch.per_device=7 "$@" >words 2>errors
}
check "broken pictures of any name" odd
says "their names are escaped" 'broken image: odd/bad\xff\n.jpg: text'
says "of a long one the end is told" "aé/last.jpg: text"
check "and stands in the log" grep -q 'broken_image.*aé/last.jpg: text' oddly/log.jsonl
check "with the other" grep -q 'broken_image.*bad..xff..n.jpg: text' oddly/log.jsonl
rm -rf "$(ls -d oddly/checkpoints/step-* | tail -n 1)"
check "a resume over them" odd --resume
rm -rf odd oddly

# --- known before the work: names that no header holds
long=$(printf '%0245d' 0)
yes "$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/x.jpg" | head -n 27500 >names.txt
fails 2 "a safetensors header holds 100" "names that no header holds" timeout 60 "$mcf" embed --config tiny.yaml --out o.safetensors names.txt
rm -f names.txt

# --- what --set would lose is refused
for lost in 'data.train=faces #1' 'data.train=#faces' 'data.train=[faces, other] #1' 'data.train=--- faces'; do
    fails 2 "put the value in quotes" "--set $lost" "$mcf" pretrain tiny.yaml --out lost --quiet --set "$lost"
done
fails 2 "anchors are not supported" "an anchor" "$mcf" pretrain tiny.yaml --out lost --quiet --set 'data.train=&a faces'
{ cat tiny.yaml; } | sed 's/^data: {.*/data:\n  train: faces #1/' >file.yaml
fails 2 "data.train: YAML takes '#1' for a comment and loses it" "the same in a file" "$mcf" pretrain file.yaml --out lost --quiet
mkdir 'faces #1' && cp faces/*/*.jpg 'faces #1'
check "in quotes it is a name" "$mcf" pretrain tiny.yaml --out quoted --quiet --set 'data.train="faces #1"' --set schedule.epochs=1 --set schedule.warmup_epochs=0
check "so it is in a list" "$mcf" pretrain tiny.yaml --out listed --quiet --set "data.train=['faces #1', faces#2]" --set data.train=faces --set schedule.epochs=1 --set schedule.warmup_epochs=0

# --- a resume on another number of devices says what that does
"$mcf" pretrain tiny.yaml --out more --quiet --set 'data.train=[faces]' --set schedule.epochs=1 --set schedule.warmup_epochs=0 --set batch.per_device=2
"$mcf" pretrain tiny.yaml --out more --resume --devices 0,1 --set 'data.train=[faces]' --set schedule.epochs=1 \
    --set schedule.warmup_epochs=0 --set batch.per_device=2 >words 2>errors
says "images and rate of a step on two devices" "an optimiser step now has 4 images instead of 2, and the highest rate is 2.34e-06 instead of 1.17e-06"

# names that are no UTF-8 stay apart
mkdir latin && cp "$one" "latin/$(printf 'a\377.jpg')" && cp "$one" "latin/$(printf 'a\376.jpg')"
check "names that are no UTF-8 differ" test "$(names latin | sort -u | wc -l)" = 2
done_testing
