#!/bin/sh
# ci/non-free-sources: a machine's own sources of Debian packages, with contrib and non-free, in both of apt's formats.
. "$(dirname "$0")/../lib.sh"
cd "$source_dir" || exit 1

etc=$work/apt
mkdir -p "$etc/sources.list.d"
# same KIND EXPECTED-TEXT WHAT
same() {
    sh ci/non-free-sources "$1" bookworm "$etc" >"$work/got"
    printf '%s' "$2" >"$work/expected"
    if diff "$work/expected" "$work/got" >"$work/diff"; then
        ok "$3"
    else
        not_ok "$3"
        cat "$work/diff"
    fi
}

same list "" "no sources, no lines"
same sources "" "no sources, no stanzas"
cat >"$etc/sources.list" <<'END'
# deb http://old.example/debian bookworm main
deb http://mirror.example:8080/some/debian bookworm main
deb-src http://mirror.example:8080/some/debian bookworm main
deb [arch=amd64 signed-by=/keys/a.gpg] https://b.example/debian bookworm main contrib # ours
deb http://mirror.example:8080/some/debian bookworm-updates main
END
echo "deb [trusted=yes] file:/srv/packages ./" >"$etc/sources.list.d/own.list"
echo "deb https://c.example/tool bookworm stable" >"$etc/sources.list.d/tool.list"
same list "deb http://mirror.example:8080/some/debian bookworm contrib non-free
deb [arch=amd64 signed-by=/keys/a.gpg] https://b.example/debian bookworm contrib non-free
" "lines keep mirror and options"
same sources "" "and are no stanzas"
cat >"$etc/sources.list.d/debian.sources" <<'END'
Types: deb deb-src
# a comment with main
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 Components: of the key
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
END
printf 'Types: deb\nURIs: http://third.example/\nSuites: bookworm\nComponents: contrib\n main' >"$etc/sources.list.d/third.sources"
same sources "Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: contrib non-free
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 Components: of the key
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://third.example/
Suites: bookworm
Components: contrib non-free

" "stanzas keep mirror and key"
if git grep -nE 'https?://[a-z.]*debian\.org' -- ci >"$work/named"; then
    not_ok "ci names no mirror"
    cat "$work/named"
else
    ok "ci names no mirror"
fi
done_testing
