# report-spam.sieve - a user reports that a message is spam: a copy goes to the spam account.
#
# Runs    in Dovecot, by its imap_sieve plugin (RFC 6785) and the rules in contrib/dovecot, after
#         a message was copied, moved or saved into Junk (COPY, APPEND), and after flags were
#         changed in any folder (FLAG).
# Needs   copy, editheader, environment, ihave, imap4flags, imapsieve, variables;
#         vnd.dovecot.environment if the settings below come from Dovecot's configuration;
#         vnd.dovecot.pipe if reports go into a spool.
# Does    never change the user's own message. `keep` comes first and keeps what is stored;
#         after it, only fields of the copy are edited.
#
# Other servers: Stalwart (to 0.16) compiles this script and never runs it; docs/stalwart.md.

require ["copy", "editheader", "environment", "ihave", "imap4flags", "imapsieve", "variables"];

# The settings. In Dovecot leave them: the values in contrib/dovecot/learnspool-secret.conf and
# 90-learnspool.conf (sieve_env_learnspool_*) are used instead.
set "spam" "spam@example.org";
set "ham" "ham@example.org";
set "junk" "Junk";
set "token" "";
set "spool" "";

if ihave "vnd.dovecot.environment" {
	if environment :matches "vnd.dovecot.config.learnspool_spam" "?*" { set "spam" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_ham" "?*" { set "ham" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_junk" "?*" { set "junk" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_token" "?*" { set "token" "${0}"; }
	if environment :matches "vnd.dovecot.config.learnspool_spool" "?*" { set "spool" "${0}"; }
}

# Written for both engines: Stalwart's (sieve-rs 0.7) forgets a variable that was first set inside
# a block, and uses only the last key of a list in a string test.
set "user" "";
set "mailbox" "";
set "changed" "";
if environment :matches "imap.user" "*" { set "user" "${0}"; }
if environment :matches "imap.mailbox" "*" { set "mailbox" "${0}"; }
if environment :matches "imap.changedflags" "*" { set "changed" " ${0} "; }

# Mail in the collection accounts was already reported, and learnspool moves it.
if anyof (string :is "${user}" "${spam}", string :is "${user}" "${ham}") {
	stop;
}

# These are not reports: a flag change that did not set a junk flag, and a folder that is not for
# junk.
if environment :is "imap.cause" "FLAG" {
	if not anyof (allof (string :contains "${changed}" " $Junk ", hasflag "$Junk"),
	              allof (string :contains "${changed}" " Junk ", hasflag "Junk")) {
		stop;
	}
} elsif not anyof (string :is "${mailbox}" "${junk}",
                   string :matches "${mailbox}" "${junk}/*",
                   string :matches "${mailbox}" "${junk}.*") {
	stop;
}

# Without collection accounts: into a spool on this machine (contrib/dovecot/91-learnspool-spool.conf).
# :try: whatever happens to the spool, the user's own message is kept and the move succeeds.
if allof (not string :is "${spool}" "", ihave "vnd.dovecot.pipe") {
	keep;
	pipe :try "learnspool" ["submit", "--class", "spam", "--reporter", "${user}",
	                        "--spool", "${spool}"];
	stop;
}

set "report" "v1; class=spam; user=${user}";
if not string :is "${token}" "" {
	set "report" "${report}; token=${token}";
}

keep;
addheader "X-Learnspool-Report" "${report}";
redirect :copy "${spam}";
