#ifndef CAMERA_FILE_H
#define CAMERA_FILE_H

// The file that stands for a camera: what the test writes into it, and what all who have it open share.

#include <errno.h>
#include <linux/videodev2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 4096, FACTS_AT = 4096, BUFFERS_AT = 16384, MODES_MAX = 16, BUFFERS_MAX = 8 };

struct mode {
    uint32_t format, width, height, frames, seconds;
    char clip[256];
};

struct settings {
    char card[32], bus[32];
    struct mode modes[MODES_MAX];
    int mode_count, gone, silent, lose, damage, bare, late, stiff;
};

// Shared by all who have the file open.
struct facts {
    int32_t owner, brightness, automatic, exposure;
    int32_t is_set;
};

static int fail(int number) {
    errno = number;
    return -1;
}

static void read_mode(struct settings *settings, const char *text) {
    struct mode *mode = &settings->modes[settings->mode_count];
    char format[5] = {0};
    if (settings->mode_count < MODES_MAX &&
        sscanf(text, "%4s %ux%u %u/%u %255s", format, &mode->width, &mode->height, &mode->frames, &mode->seconds,
               mode->clip) >= 5) {
        memcpy(&mode->format, format, 4);
        settings->mode_count++;
    }
}

static int read_settings(int fd, struct settings *settings) {
    char text[TEXT_BYTES + 1] = {0};
    memset(settings, 0, sizeof *settings);
    if (pread(fd, text, TEXT_BYTES, 0) <= 0 || strncmp(text, "framekeeper-camera\n", 19))
        return 0;
    for (char *place, *line = strtok_r(text, "\n", &place); line; line = strtok_r(NULL, "\n", &place)) {
        char *value = strchr(line, '=');
        if (!value++)
            continue;
        if (!strncmp(line, "card=", 5))
            snprintf(settings->card, sizeof settings->card, "%s", value);
        if (!strncmp(line, "bus=", 4))
            snprintf(settings->bus, sizeof settings->bus, "%s", value);
        if (!strncmp(line, "mode=", 5))
            read_mode(settings, value);
        if (!strncmp(line, "gone=", 5))
            settings->gone = atoi(value);
        if (!strncmp(line, "silent=", 7))
            settings->silent = atoi(value);
        if (!strncmp(line, "lose=", 5))
            settings->lose = atoi(value);
        if (!strncmp(line, "damage=", 7))
            settings->damage = atoi(value);
        if (!strncmp(line, "stamps=none", 11))
            settings->bare = 1;
        if (!strncmp(line, "late=", 5))
            settings->late = atoi(value);
        if (!strncmp(line, "stiff=", 6))
            settings->stiff = atoi(value);
    }
    return 1;
}

static struct facts read_facts(int fd) {
    struct facts facts;
    if (pread(fd, &facts, sizeof facts, FACTS_AT) != sizeof facts || !facts.is_set)
        facts = (struct facts){.brightness = 128, .automatic = 1, .exposure = 100, .is_set = 1};
    return facts;
}

static void write_facts(int fd, struct facts facts) {
    if (pwrite(fd, &facts, sizeof facts, FACTS_AT) != sizeof facts)
        perror("camera-plugin");
}

#endif
