#!/bin/sh
# mcf report on real runs: all parts are there, pictures survive the checkpoints they were made at, the page loads
# nothing, and what is missing is said in its place. tests/report/report_browser.sh opens the page in a browser.
. "$(dirname "$0")/../lib.sh"
. "$source_dir/tests/page.sh"
cd "$work" || exit 1
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
tiny_config tiny.yaml
synthetic_faces faces 6 8 40 1
synthetic_faces others 4 3 40 2
run() {
    "$mcf" pretrain tiny.yaml --threads 1 --quiet --set 'data.train=[faces]' "$@"
}
check "a run" run --out one --set 'data.validation=[others]' --set checkpoint.keep=1
check "another, of one term" run --out 'two & <three>' --set objective.pixel.weight=0 --set seed=9
check "checkpoints that are gone leave their pictures" \
    sh -c 'ls one/checkpoints | wc -l | grep -qx 1 && [ "$(ls one/pictures/step-*.jpg | wc -l)" -ge 8 ]'
check "the machine is noted" grep -q '"cpu"' one/machine.json
"$mcf" report one --threads 1 --out one.html >said 2>errors
check "a report says where it is" grep -qx "$(pwd -P)/one.html (.*)" said

page one.html
for id in curves reconstructions attention features retrieval scores config machine next; do
    has one.html "<h2 id=\"$id\">" "has the section $id"
done
has one.html "class=\"line run-0\"" "has curves"
has one.html "class=\"marks run-0\"" "has validation"
has one.html "untrained</th>" "has the reconstruction before the first step"
has one.html "head 2</th>" "has attention of every head"
has one.html "of the variance" "has features"
has one.html "12 queries among 12 images of 4 people" "has retrieval"
has one.html "no row with this mix of terms" "says that the paper has no such row"
has one.html "mcf embed --checkpoint one" "says how to go on"
check "one.html: the page is no part missing" sh -c "! grep -q 'class=\"missing\"' one.html"

check "a report of two runs, one without decoder" "$mcf" report one 'two & <three>' --threads 1 --images others --limit 9 \
    --out both.html
page both.html
has both.html "two &amp; &lt;three&gt;" "names are escaped"
has both.html "<code>objective.pixel.weight</code>" "has what differs"
has both.html "has no decoder" "says why there is no reconstruction"
has both.html "&#39;two &amp; &lt;three&gt;&#39;" "quotes a path for the shell"
has both.html "9 queries among 9 images of 3 people, the first of 12" "keeps to the limit"

rm -rf others
cp -r one going
rm -rf going/checkpoints
printf '{"step":99,"los' >>going/log.jsonl
check "a report of a run without checkpoint, with a torn log" "$mcf" report going --out going.html
page going.html
has going.html "going has saved no checkpoint yet" "says that there is no checkpoint"
has going.html "last line is not complete yet" "says that the log goes on"
check "a report when the images are gone" "$mcf" report one --out gone.html
has gone.html "others is not there any more" "says that the images are gone"
check "a report that computes nothing" "$mcf" report one --quick --out quick.html
has quick.html "left out with --quick" "says so"
(
    flock -n 9
    "$mcf" report one --quick --quiet --out locked.html
) 9<one
check "a run that goes on is not disturbed and known as such" sh -c \
    "[ -e /proc/locks ] && { grep -q 'FLOCK' /proc/locks; true; } && test -s locked.html"
dd if=one/checkpoints/$(ls one/checkpoints)/model.safetensors of=half bs=1000 count=1 2>/dev/null
cp half one/checkpoints/*/model.safetensors
check "a report of a damaged checkpoint" "$mcf" report one --images faces --out damaged.html
has damaged.html "No attention maps." "says that the checkpoint is damaged"

fails 2 "there is no such directory" "a run that is not there" "$mcf" report nothing --out x.html
fails 2 "holds no run" "a folder without run" "$mcf" report faces --out x.html
fails 2 "--out FILE is missing" "no --out" "$mcf" report one
fails 1 "faces/000000" "a page that cannot be written" "$mcf" report one --quick --out "$(echo faces/000000/*0.*)/x.html"
done_testing
