package notes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestReadKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	w := written(t, "mero-kms-v1.2.0")
	require.Equal(t, "The service now answers with its profile.", w.Intro)
	require.Equal(t, "- `/health` has a new field; a strict reader has to know it.", w.Sections[notes.BreakingChanges])
	require.Equal(t,
		"From 1.1 only:\n\n```sh\n## not a heading either\nMERO_KMS_VERSION=1.2.0 # <!-- not a comment -->\n```",
		w.Sections[notes.UpgradePath])
	require.Empty(t, w.Reasons())
	require.Equal(t, map[string]string{"policies/debug.json": "it relied on the hole", "catalog": "declares the pair"},
		written(t, "mero-kms-v1.2.1").Reasons())
}

func TestAbsentNotes(t *testing.T) {
	t.Parallel()
	for _, c := range []release.Class{release.Stable, release.Hotfix} {
		_, results := notes.Read(tag(t, "mero-kms-v1.2.1"), c, nil)
		require.Equal(t, fault.MissingAsset, fault.CodeOf(results.Err()), c)
		require.Equal(t, "docs/releases/mero-kms-v1.2.1.md", results[0].Expected)
		require.Contains(t, results[0].Hint, "templates/"+string(c)+".md")
	}
	_, results := notes.Read(tag(t, "mero-kms-v1.2.1-rc.1"), release.Candidate, nil)
	require.Equal(t, check.Inapplicable, results[0].Status)
	_, results = notes.Read(tag(t, "mero-kms-v1.2.1"), release.Stable, []byte{})
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()), "an empty file is there, and says nothing")
}

// A template that was copied and not filled in stops the release at every section.
func TestTemplatesAloneAreUnwritten(t *testing.T) {
	t.Parallel()
	for _, c := range []release.Class{release.Stable, release.Candidate, release.Hotfix} {
		name := tag(t, map[release.Class]string{release.Stable: "mero-tee-v1.2.0", release.Candidate: "mero-tee-v1.2.0-rc.1",
			release.Hotfix: "mero-tee-v1.2.1"}[c])
		template, err := releases.Template(c, name)
		require.NoError(t, err)
		data, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "releases", "templates", string(c)+".md"))
		require.NoError(t, err)
		require.Equal(t, strings.ReplaceAll(string(data), "{tag}", name.String()), template)
		for _, text := range []string{template, strings.ReplaceAll(template, "TODO: ", ""),
			strings.ReplaceAll(template, "TODO: ", "**")} {
			_, results := notes.Read(name, c, []byte(text))
			require.True(t, results[0].OK(), results[0])
			failed := results[1:].Count(check.Failed)
			require.Equal(t, len(results)-1, failed, text)
			require.GreaterOrEqual(t, failed, len(notes.Required(c)))
		}
	}
	_, err := releases.Template("other", release.Tag{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

const hotfixFile = "# mero-kms-v1.2.1\n\n## Why a patch release\n\nIt burns.\n\n## Reference\n\nINC-42\n\n" +
	"## Exact change\n\nWater.\n\n## Rollback\n\nBy hand.\n"

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	const whole = "notes: docs/releases/mero-kms-v1.2.1.md"
	replace := func(old, with string) string { return strings.Replace(hotfixFile, old, with, 1) }
	for name, tc := range map[string]struct{ text, check, reason string }{
		"no title": {replace("# mero-kms-v1.2.1\n", ""), "notes: docs/releases/mero-kms-v1.2.1.md",
			"not the tag"},
		"another release's title": {replace("v1.2.1", "v1.2.0"), "notes: docs/releases/mero-kms-v1.2.1.md", "not the tag"},
		"placeholder for the tag": {replace("mero-kms-v1.2.1", "{tag}"), "notes: docs/releases/mero-kms-v1.2.1.md",
			"not the tag"},
		"section missing": {replace("## Rollback\n\nBy hand.\n", ""), "notes: Rollback", "missing"},
		"section misspelt": {replace("## Rollback", "## Roll back"), "notes: docs/releases/mero-kms-v1.2.1.md",
			"no such section"},
		"section twice": {hotfixFile + "## Rollback\n\nBy hand.\n", "notes: docs/releases/mero-kms-v1.2.1.md",
			"twice"},
		"section of another kind": {hotfixFile + "## Changes\n\nx\n", "notes: docs/releases/mero-kms-v1.2.1.md",
			"no such section"},
		"section in a comment": {replace("## Rollback\n\nBy hand.\n", "<!-- ## Rollback\n\nBy hand.\n-->"), "notes: Rollback",
			"missing"},
		"section in a code block": {replace("## Rollback\n\nBy hand.\n", "```\n## Rollback\n\nBy hand.\n```\n"),
			"notes: Rollback", "missing"},
		"empty":                  {replace("By hand.", ""), "notes: Rollback", "empty"},
		"only a comment":         {replace("By hand.", "<!-- By hand. -->"), "notes: Rollback", "empty"},
		"only marks":             {replace("By hand.", "- … ---"), "notes: Rollback", "empty"},
		"only a space entity":    {replace("By hand.", "&nbsp;"), "notes: Rollback", "empty"},
		"only a heading":         {replace("By hand.", "### Details"), "notes: Rollback", "empty"},
		"only a link definition": {replace("By hand.", "[//]: # (None.)"), "notes: Rollback", "empty"},
		"to be done":             {replace("By hand.", "Some text.\nTBD"), "notes: Rollback", "template"},
		"placeholder kept":       {replace("By hand.", "By hand.\n\nTODO: how to go back"), "notes: Rollback", "template"},
		"placeholder's text": {replace("By hand.", "> how to go back to the version before, and what is lost by it"),
			"notes: Rollback", "template"},
		"placeholder in intro": {replace("\n\n## Why", "\n\nTODO\n\n## Why"), "notes: docs/releases/mero-kms-v1.2.1.md",
			"template"},
		"optional one not filled": {hotfixFile + "\n## Other paths\n\n- policies/debug.json: TODO: why\n",
			"notes: Other paths", "template"},
		"no way back":         {replace("By hand.", "None."), "notes: Rollback", "says that there is none"},
		"no way back, small":  {replace("By hand.", "none needed"), "notes: Rollback", "says that there is none"},
		"nothing at all":      {replace("By hand.", "Nothing to roll back."), "notes: Rollback", "says that there is none"},
		"a dash":              {replace("By hand.", "—"), "notes: Rollback", "empty"},
		"not applicable":      {replace("By hand.", "> not applicable"), "notes: Rollback", "says that there is none"},
		"none, twice":         {replace("By hand.", "None. Nothing needed!"), "notes: Rollback", "says that there is none"},
		"none, in code":       {replace("By hand.", "`none`"), "notes: Rollback", "says that there is none"},
		"none, and pointing":  {replace("By hand.", "None; see above"), "notes: Rollback", "says that there is none"},
		"none, by an entity":  {replace("By hand.", "No&#8288;ne"), "notes: Rollback", "says that there is none"},
		"an invisible letter": {replace("By hand.", "&#x3164;"), "notes: Rollback", "empty"},
		"exactly nothing":     {replace("Water.", "n/a - unknown"), "notes: Exact change", "template"},
		"no exact change":     {replace("Water.", "No changes."), "notes: Exact change", "says that there is none"},
		"why not":             {replace("It burns.", "Because"), "notes: Why a patch release", "says that there is none"},
		"the template's words, wrapped": {replace("By hand.",
			"Here is how to go\nback to the version before,\nand what is lost by it."),
			"notes: Rollback", "template"},
		"the template's words in capitals": {replace("By hand.",
			"HOW TO GO BACK to the version before, and what is lost by it"),
			"notes: Rollback", "template"},
		"an invisible joiner":  {replace("By hand.", "No\u2060ne"), whole, "invisible characters"},
		"a zero-width space":   {replace("By hand.", "\u200b"), whole, "invisible characters"},
		"a filler":             {replace("By hand.", "\u3164"), whole, "invisible characters"},
		"a byte order mark":    {"\ufeff" + hotfixFile, whole, "invisible characters"},
		"no reason":            {replace("It burns.", "**n/a**"), "notes: Why a patch release", "template"},
		"to be done, quietly":  {replace("By hand.", "- t.b.d."), "notes: Rollback", "template"},
		"to do, in small":      {replace("By hand.", "todo: write"), "notes: Rollback", "template"},
		"only an image":        {replace("By hand.", "![By hand](x.png)"), "notes: Rollback", "empty"},
		"HTML":                 {replace("By hand.", "<p hidden>x</p>"), whole, "hold HTML"},
		"HTML in a line":       {replace("By hand.", "By <br> hand."), whole, "hold HTML"},
		"HTML after a comment": {replace("By hand.", "<!-- --> <b>x</b>"), whole, "hold HTML"},
		"a hidden rest":        {replace("By hand.", "By hand.\n\n<details><summary>x</summary>\n"), whole, "hold HTML"},
		"an open block":        {replace("By hand.", "By hand.\n\n<pre>\n"), whole, "hold HTML"},
		"an open script":       {replace("By hand.", "By hand.\n\n<script>\n"), whole, "hold HTML"},
		"CDATA":                {replace("By hand.", "By hand.\n\n<![CDATA[\n"), whole, "hold HTML"},
		"an instruction":       {replace("By hand.", "By hand.\n\n<?php\n"), whole, "hold HTML"},
		"a declaration":        {replace("By hand.", "By hand.\n\n<!X\n"), whole, "hold HTML"},
		"an imitated part":     {hotfixFile + "\n<h2>Measurements</h2>\n", whole, "hold HTML"},
		"a part in a title":    {hotfixFile + "\n# Measurements\n", whole, "no section's"},
		"an underlined part":   {hotfixFile + "\nMeasurements\n---\n", whole, "no section's"},
		"an underlined title":  {hotfixFile + "\nMeasurements\n===\n", whole, "no section's"},
		"a part in a list":     {hotfixFile + "\n- ## Measurements\n", whole, "no section's"},
		"a part in a quote":    {hotfixFile + "\n> ## Measurements\n", whole, "no section's"},
		"a nameless part":      {hotfixFile + "\n##\n", whole, "has no text"},
		"comment not closed":   {hotfixFile + "<!-- ", "notes: docs/releases/mero-kms-v1.2.1.md", "comment is not closed"},
		"code block not closed": {hotfixFile + "````sh\nx\n```\n", "notes: docs/releases/mero-kms-v1.2.1.md",
			"code block is not closed"},
		"not UTF-8":           {hotfixFile + "\xff", "notes: docs/releases/mero-kms-v1.2.1.md", "not UTF-8"},
		"control character":   {hotfixFile + "\x1b[2J", whole, "control or invisible characters"},
		"direction character": {hotfixFile + "\u202e", whole, "control or invisible characters"},
		"too long": {hotfixFile + strings.Repeat("ä", 20_000), "notes: docs/releases/mero-kms-v1.2.1.md",
			"too long"},
		"no reference": {replace("INC-42", "see the mail"), "notes: Reference", "no CVE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, []byte(tc.text))
			require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
			var failed []string
			for _, r := range results {
				if !r.OK() {
					failed = append(failed, r.Name)
					require.Contains(t, r.Reason, tc.reason)
					require.NotEmpty(t, r.Expected)
				}
			}
			require.Equal(t, []string{tc.check}, failed)
		})
	}
	_, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix,
		[]byte(strings.ReplaceAll(hotfixFile, "\n", "\r\n")))
	require.NoError(t, results.Err())
	_, results = notes.Read(tag(t, "mero-kms-v1.2.1"), release.Candidate, []byte(hotfixFile))
	require.ErrorContains(t, results.Err(), "a candidate has no such section")
}

// What reads like a placeholder within a sentence is where a line was broken.
func TestLinesMayGoOnAsPlaceholdersBegin(t *testing.T) {
	t.Parallel()
	judged := func(text string) error {
		file := []byte(strings.Replace(hotfixFile, "By hand.", text, 1))
		_, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, file)
		return results.Err()
	}
	for _, text := range []string{"Stop the service. Operators have\nto do so before the update.",
		"You may have\nto follow the guide.", "What is left\nto be done by hand: nothing moves."} {
		require.NoError(t, judged(text), text)
	}
	for _, text := range []string{"By hand.\nTo do.", "By hand.\n\nTo do: the rest.", "By hand.\n- to be added",
		"By hand.\nwip", "Coming soon", "1. TBA", "> to be announced"} {
		require.ErrorContains(t, judged(text), "template", text)
	}
}

// A reason is words: what is none leaves its path without one.
func TestReasonsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"None.", "n/a", "nothing", "-", "tbd", "none needed", "…", "`none`", "todo",
		"NO", "not needed.",
		"see above", "what the fix does there.", "why a hotfix has to touch it", "&#8288;"} {
		file := strings.Replace(hotfixFile, "Water.", "Water.\n\n- go.mod: "+none, 1)
		w, _ := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, []byte(file))
		require.Empty(t, w.Reasons(), none)
	}
	w, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, []byte(strings.Replace(hotfixFile, "Water.",
		"Water.\n\n- `go.mod`: the library's fix\n* internal/kms/: closes the hole", 1)+
		"\n## Other paths\n\n- docs: says so\n"))
	require.NoError(t, results.Err())
	require.Equal(t, map[string]string{"go.mod": "the library's fix", "internal/kms": "closes the hole",
		"docs": "says so"}, w.Reasons())
}

func TestReference(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"CVE-2026-1234": true, "Fixes CVE-2026-1234567.": true, "GHSA-2345-cfgh-jmpq": true, "INC-1": true,
		"SEC2-17, still open":                     true,
		"https://status.example.org/incidents/42": true, "[report](https://a.example/x)": true,
		"CVE-2026-123": false, "CVE-26-1234": false, "CVE-YYYY-NNNN": false, "CVE-1998-1234": false, "CVE-20261-1234": false,
		"XCVE-2026-1234x": false, "INCIDENT-3": true, "UTF-8": false, "SHA-256": false, "RFC-2119": false,
		"ISO-8601": false, "P-256": false, "AINC-1": false,
		"GHSA-aaaa-bbbb": false, "#42": false, "inc-42": false, "http://a.example/x": false, "https://localhost/x": false,
		"https://a.example/": false, "https://": false, "[the report][1]\n\n[1]: https://a.example/x": true,
		"<https://a.example/x>": true, "**CVE-2026-1234**": true, "`CVE-2026-1234`": true,
		"An incident.\n\n[//]: # (CVE-2026-1234)": false, "An incident.\n\n[1]: https://a.example/x": false,
		"An incident. ![CVE-2026-1234](https://a.example/x)": false, "An incident. [](https://a.example/x)": false,
	} {
		file := strings.Replace(hotfixFile, "INC-42", text, 1)
		_, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, []byte(file))
		require.Equal(t, want, results.Err() == nil, text)
	}
}

// What looks like HTML and is none, and what is never shown, is nobody's loss.
func TestInnocentNotes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no loss, with words":       "Nothing is lost: restart with the version before.",
		"none but":                  "None of the keys is lost; set the version back.",
		"a comment's mark in code":  "`<!--` begins a comment, `<b>` a bold text.",
		"HTML in a code block":      "```html\n<details>\n## x\n```",
		"HTML in an indented block": "As here:\n\n    <pre>\n",
		"less than":                 "a < b, and 1 <2",
		"an address":                "<https://example.org/x>",
		"a fence in a list":         "- ```\n  x",
		"the todo list":             "The todo list is gone.",
		"a table":                   "| a | b |\n|---|---|\n| 1 | 2 |",
		"a smaller heading":         "By hand.\n\n### Details\n\nx",
		"comments":                  "By <!-- one --> hand.\n\n<!-- two\n\n## three -->\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix,
				[]byte(strings.Replace(hotfixFile, "By hand.", text, 1)))
			require.NoError(t, results.Err())
		})
	}
}

func TestStatementIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]release.Class{"mero-kms-v1.2.0": release.Stable,
		"mero-kms-v1.2.0-rc.1": release.Candidate, "mero-kms-v1.2.1": release.Hotfix} {
		data := notes.Statement(tag(t, name), c, "A rehearsal: nothing of this is real.", "REHEARSAL-1", "policies",
			"catalog")
		w, results := notes.Read(tag(t, name), c, data)
		require.NoError(t, results.Err(), name)
		var in notes.Input
		w.Fill(&in)
		require.Contains(t, in.Summary, "A rehearsal: nothing of this is real.")
		if c == release.Hotfix {
			require.Len(t, w.Reasons(), 2)
		}
	}
}

// What people write fits, together with the longest changelog.
func TestLongNotesFitGitHub(t *testing.T) {
	t.Parallel()
	in := stable(t)
	for range 5000 {
		in.Commits = append(in.Commits, in.Commits[0])
	}
	file := hotfixFile + strings.Repeat("ä", 20_000-utf8.RuneCountInString(hotfixFile))
	w, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, []byte(file))
	require.NoError(t, results.Err())
	w.Fill(&in)
	require.Less(t, utf8.RuneCountInString(notes.Generate(in)), notes.MaxSize)
}

// Whatever the file, it is judged; and what passes has every required section.
func FuzzRead(f *testing.F) {
	f.Add([]byte(hotfixFile))
	f.Add([]byte("# mero-kms-v1.2.1\n<!-- --> <!--\n-->\n```\n## x\n~~~\n```\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, results := notes.Read(tag(t, "mero-kms-v1.2.1"), release.Hotfix, data)
		require.NotEmpty(t, results)
		if data == nil || results.Err() != nil {
			return
		}
		for _, s := range notes.Required(release.Hotfix) {
			require.NotEmpty(t, w.Sections[s])
			require.NotContains(t, w.Sections[s], "TODO")
		}
	})
}
