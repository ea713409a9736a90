// Warnings and notes from any room. A room never prints: it passes the line to log_say, and the sink that cli
// has installed shows it.
#pragma once

typedef enum LogLevel { LOG_NOTE, LOG_WARNING } LogLevel;
typedef void (*LogSink)(LogLevel level, const char *line, void *user);

/// Installs the sink of the whole process; NULL drops all lines. A sink is called on the thread that logs, by
/// one thread at a time, and must not log itself.
void log_set_sink(LogSink sink, void *user);
/// Logs one line, without a newline, cut at 1023 bytes. May be called from any thread.
void log_say(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));
