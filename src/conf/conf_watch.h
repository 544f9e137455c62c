/*
 * conf_watch.h - how watch waits for new mail, and when it expires the old.
 */
#ifndef LS_CONF_WATCH_H
#define LS_CONF_WATCH_H

struct conf_watch {
	int poll;      /* seconds between two looks where nothing tells of new mail */
	int rescan;    /* seconds between two runs over what does tell, to be sure */
	int expire_at; /* minutes since midnight, local time; DAILY_NEVER (base/daily.h) */
};

#endif
