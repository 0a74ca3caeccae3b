# Shared by the tests of the report, after lib.sh.

# page FILE: well formed as far as a parser without network can tell, and complete in itself
page() {
    check "$1: nothing is loaded" sh -c "! grep -Eio '(src|href|action|poster|data)=[\"'\'' ]*[^\"'\'' #>]+' '$1' |
        grep -Eiv '^(src=\"data:image/(png|jpeg);base64,|href=\"data:,)' | grep -Eq '=[\"'\'' ]*(https?:|//|file:|[a-z]+[./])'"
    check "$1: no address in styles" sh -c "! grep -Eiq 'url\((\"|'\'')?[^#]|@import' '$1'"
    check "$1: its policy forbids the network" grep -q "default-src 'none'" "$1"
    check "$1: no number went wrong" sh -c "! grep -Eiq '[ ,\">](nan|-?inf)[ ,\"<]' '$1'"
    if command -v xmllint >/dev/null; then
        # libxml2 knows no HTML 5: complaints about its names are none
        # pictures are left out: it once lost its place in a long line
        sed 's/base64,[A-Za-z0-9+/=]*/base64,/g' "$1" >"$work/short.html"
        xmllint --html --noout "$work/short.html" 2>"$work/errors"
        check "$1: xmllint finds no other fault" sh -c "! grep 'error :' '$work/errors' | grep -v ' invalid\$'"
    else
        echo "skipped - $1: xmllint is not here"
    fi
    if command -v python3 >/dev/null; then
        cat >"$work/balance.py" <<'PYTHON'
import html.parser, sys
VOID = {"meta", "link", "img", "input", "br", "path", "circle"}
class Balance(html.parser.HTMLParser):
    open, ids, faults = [], set(), []
    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.faults.append(f"{tag} has an attribute twice")
        identity = dict(attributes).get("id")
        if identity in self.ids:
            self.faults.append(f"the id {identity} occurs twice")
        if identity:
            self.ids.add(identity)
        if tag == "img" and not dict(attributes).get("alt"):
            self.faults.append("an img without alt")
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:]}")
        else:
            self.open.pop()
parser = Balance()
parser.feed(open(sys.argv[1], encoding="utf-8").read())
sys.exit("\n".join(parser.faults) or (f"left open: {parser.open}" if parser.open else 0))
PYTHON
        check "$1: every tag is closed, every id is one" python3 "$work/balance.py" "$1"
    else
        echo "skipped - $1: python3 is not here"
    fi
}
has() {
    check "$1: $3" grep -qF -- "$2" "$1"
}
