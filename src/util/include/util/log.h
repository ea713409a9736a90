// Warnings and notes from any room. A room never prints: it says the line here, and whoever installed a sink
// (cli) shows it.
#pragma once

typedef enum LogLevel { LOG_NOTE, LOG_WARNING } LogLevel;
typedef void (*LogSink)(LogLevel level, const char *line, void *user);

/// Installs the sink for the whole process (NULL: silence). A sink is called on the thread that logs, on one
/// at a time; it must not log itself.
void log_set_sink(LogSink sink, void *user);
/// One line without a newline, cut at 1023 bytes. May be called from any thread.
void log_say(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));
