#include "support/heard.h"

#include "util/log.h"
#include <stdio.h>
#include <string.h>

static char lines[8192];

static void keep(LogLevel level, const char *line, void *user) {
  (void)user;
  size_t used = strlen(lines);
  (void)snprintf(lines + used, sizeof lines - used, "%s%s\n", level == LOG_WARNING ? "warning: " : "", line);
}

void heard_start(void) {
  lines[0] = '\0';
  log_set_sink(keep, NULL);
}

const char *heard_stop(void) {
  log_set_sink(NULL, NULL);
  return lines;
}

size_t heard_count(const char *part) {
  size_t count = 0;
  for (const char *at = lines; (at = strstr(at, part)) != NULL; at++) count++;
  return count;
}
