/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manual page. The commands come from their table, so that no page can be behind the program. */
#include "cli/man.h"

#include <string.h>

#include "cli/help.h"

static const char head[] = ".TH PVESM 1 \"\" \"storaged\" \"Storage administration\"\n"
                           ".SH NAME\n"
                           "pvesm \\- storage of this node and its cluster\n"
                           ".SH SYNOPSIS\n"
                           ".B pvesm\n"
                           "[\\fB\\-\\-root\\fR \\fIDIR\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n"
                           ".SH DESCRIPTION\n"
                           "pvesm asks the daemon\n"
                           ".BR storaged (8)\n"
                           "through its API and prints the answer. It speaks the words of the command of the same name "
                           "of Proxmox VE; what is ours\n"
                           "beyond it is added, never changed.\n"
                           ".PP\n"
                           "A command may be shortened to any prefix that only one command has. Where several have it "
                           "and one of them is Proxmox\n"
                           "VE's, that one is meant. Options are written \\fB\\-\\-name value\\fR, \\fB\\-name "
                           "value\\fR or \\fB\\-\\-name=value\\fR;\n"
                           "a boolean one alone means 1, and takes 1, on, yes, true and 0, off, no, false. Options and "
                           "arguments may be mixed; a\n"
                           "lone \\fB\\-\\-\\fR ends the options.\n"
                           ".PP\n"
                           "A volume is written \\fISTORAGE\\fB:\\fINAME\\fR.\n"
                           ".SH COMMANDS\n";

static const char tail[] =
        ".SH OPTIONS OF ALL COMMANDS\n"
        ".TP\n"
        "\\fB\\-\\-output\\-format\\fR text | json | json\\-pretty | yaml\n"
        "How data is printed. json is the data of the API's answer.\n"
        ".TP\n"
        "\\fB\\-\\-root\\fR \\fIDIR\\fR\n"
        "Talk to the storaged that runs with this root; its socket is \\fIDIR\\fR/run/storaged/api.sock.\n"
        ".SH LONG WORK\n"
        "Copies, exports, imports and the like are tasks of the daemon. pvesm prints their log as it grows, and a "
        "progress bar\n"
        "on a terminal. ^C asks the task to stop; a second ^C leaves it to itself.\n"
        ".SH EXIT STATUS\n"
        ".TP\n"
        "0\n"
        "Done. Also \\fBstatus\\fR with storages that are not well (they are named on standard error).\n"
        ".TP\n"
        "1\n"
        "\\fBconfig check\\fR and \\fBdoctor\\fR have looked and found something.\n"
        ".TP\n"
        "2\n"
        "A parameter is wrong: it is named on standard error with the reason, and nothing was changed.\n"
        ".TP\n"
        "255\n"
        "No or an unknown command, no daemon, or the command failed. \\fBfree\\fR of a volume that does not exist, is\n"
        "protected or in use fails.\n"
        ".SH ENVIRONMENT\n"
        ".TP\n"
        "STORAGED_ROOT\n"
        "As \\fB\\-\\-root\\fR.\n"
        ".TP\n"
        "TMPDIR\n"
        "Where the socket of an export or import is made if the daemon's directory can't be written.\n"
        ".SH FILES\n"
        ".TP\n"
        "/run/storaged/api.sock\n"
        "The daemon's socket. Without a daemon \\fBinfo\\fR, \\fBconfig check\\fR, \\fBschema\\fR and \\fBhelp\\fR "
        "run\n"
        "\\fBstoraged \\-\\-once\\fR instead.\n"
        ".TP\n"
        "/etc/pve/storage.cfg\n"
        "The definitions.\n"
        ".SH EXAMPLES\n"
        ".nf\n"
        "pvesm add dir images \\-\\-path /srv/images \\-\\-content images,iso\n"
        "pvesm alloc images 100 \\(aq\\(aq 32G \\-\\-format qcow2\n"
        "pvesm list images \\-\\-output\\-format json\n"
        "pvesm export images:100/vm\\-100\\-disk\\-0.qcow2 qcow2+size \\- | ssh host pvesm import \\e\n"
        "        images:100/vm\\-100\\-disk\\-0.qcow2 qcow2+size \\-\n"
        ".fi\n"
        ".SH SEE ALSO\n"
        ".BR storaged (8)\n";

/* Text for roff: backslashes and hyphens as themselves, and no line that begins like a request. */
static void add_roff(StrBuf *b, const char *s)
{
        if (*s == '.' || *s == '\'')
                strbuf_adds(b, "\\&");
        for (; *s; s++) {
                if (*s == '\\')
                        strbuf_adds(b, "\\e");
                else if (*s == '-')
                        strbuf_adds(b, "\\-");
                else if (*s == '\'')
                        strbuf_adds(b, "\\(aq");
                else
                        strbuf_addc(b, *s);
        }
}

static void add_param(StrBuf *b, const Param *p)
{
        AUTO(strbuf_deinit) StrBuf value = STRBUF_INIT;

        strbuf_adds(b, ".RS\n.TP\n");
        strbuf_adds(b, p->flags & PARAM_POSITIONAL ? "\\fI" : "\\fB\\-\\-");
        add_roff(b, p->name);
        strbuf_adds(b, "\\fR ");
        help_param_value(&value, p);
        add_roff(b, value.data ? value.data : "");
        strbuf_addc(b, '\n');
        add_roff(b, p->text ? p->text : "A property of the storage.");
        strbuf_adds(b, "\n.RE\n");
}

static void add_verb(StrBuf *b, const Verb *v)
{
        AUTO(freep) char *usage = verb_usage(v);

        strbuf_adds(b, ".TP\n.B ");
        add_roff(b, usage ? usage : v->name);
        strbuf_addc(b, '\n');
        add_roff(b, v->text);
        strbuf_addc(b, '\n');
        for (const Param *p = v->params; !(v->flags & VERB_ALIAS) && p && p->name; p++)
                add_param(b, p);
}

int man_write(FILE *f)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        strbuf_adds(&b, head);
        VERB_EACH (v)
                add_verb(&b, v);
        strbuf_adds(&b, tail);
        (void) fwrite(b.data ? b.data : "", 1, b.len, f);
        return strbuf_error(&b);
}
