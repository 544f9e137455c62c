# report-ham.sieve - a user says that a message is not spam: a copy of it goes to the ham account.
#
# Runs    in Dovecot, by its imap_sieve plugin (RFC 6785) and the rules in contrib/dovecot, after
#         a message left Junk by COPY (which a move is too) for any other folder, and after flags
#         were changed in any folder (FLAG). RFC 6785 does not tell a script where a message came
#         from, so the rule must: imapsieve_mailboxN_from = Junk.
# Needs   copy, editheader, environment, ihave, imap4flags, imapsieve, variables;
#         vnd.dovecot.environment where the settings below come from Dovecot's configuration.
# Does    nothing to the user's own message, ever. `keep` comes first and keeps what is stored;
#         the fields that are edited after it are those of the copy only.
#
# Other servers: Stalwart (to 0.16) compiles this script and never runs it; docs/stalwart.md.

require ["copy", "editheader", "environment", "ihave", "imap4flags", "imapsieve", "variables"];

# The settings. In Dovecot leave them: what contrib/dovecot/learnspool-secret.conf and
# 90-learnspool.conf say (sieve_env_learnspool_*) is taken instead.
set "spam" "spam@example.org";
set "ham" "ham@example.org";
set "junk" "Junk";
set "trash" "Trash";
set "token" "";

if ihave "vnd.dovecot.environment" {
	if environment :matches "vnd.dovecot.config.learnspool_spam" "?*" { set "spam" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_ham" "?*" { set "ham" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_junk" "?*" { set "junk" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_trash" "?*" { set "trash" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_token" "?*" { set "token" "${0}"; }
}

# Written for both engines: Stalwart's (sieve-rs 0.7) forgets a variable that was first set
# inside a block, and of a list of keys in a string test it heeds the last only.
set "user" "";
set "mailbox" "";
set "changed" "";
if environment :matches "imap.user" "*" { set "user" "${0}"; }
if environment :matches "imap.mailbox" "*" { set "mailbox" "${0}"; }
if environment :matches "imap.changedflags" "*" { set "changed" " ${0} "; }

# What the collection accounts hold was reported already, and is moved about by learnspool.
if anyof (string :is "${user}" "${spam}", string :is "${user}" "${ham}") {
	stop;
}

# Not a report: a flag change that did not set a not-junk flag, a move to another junk folder,
# and one to Trash: who empties Junk that way does not say that it was wanted.
if environment :is "imap.cause" "FLAG" {
	if not anyof (allof (string :contains "${changed}" " $NotJunk ", hasflag "$NotJunk"),
	              allof (string :contains "${changed}" " NonJunk ", hasflag "NonJunk")) {
		stop;
	}
} elsif anyof (string :is "${mailbox}" "${junk}",
               string :matches "${mailbox}" "${junk}/*",
               string :matches "${mailbox}" "${junk}.*",
               string :is "${mailbox}" "${trash}",
               string :matches "${mailbox}" "${trash}/*",
               string :matches "${mailbox}" "${trash}.*") {
	stop;
}

set "report" "v1; class=ham; user=${user}";
if not string :is "${token}" "" {
	set "report" "${report}; token=${token}";
}

keep;
addheader "X-Learnspool-Report" "${report}";
redirect :copy "${ham}";
