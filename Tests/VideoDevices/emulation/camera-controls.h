#ifndef CAMERA_CONTROLS_H
#define CAMERA_CONTROLS_H

// What the emulated camera lets one turn.

#include "camera-file.h"

static int use_control(int fd, const struct settings *settings, unsigned long request,
                       struct v4l2_control *control) {
    struct facts facts = read_facts(fd);
    int32_t *value = control->id == V4L2_CID_BRIGHTNESS                  ? &facts.brightness
                     : control->id == V4L2_CID_EXPOSURE_AUTO             ? &facts.automatic
                     : control->id == V4L2_CID_EXPOSURE_ABSOLUTE         ? &facts.exposure
                                                                         : NULL;
    if (!value)
        return fail(EINVAL);
    if (request == VIDIOC_S_CTRL && settings->stiff && value == &facts.exposure)
        return fail(EBUSY);
    if (request == VIDIOC_G_CTRL)
        control->value = *value;
    else
        *value = control->value;
    if (request == VIDIOC_S_CTRL)
        write_facts(fd, facts);
    return 0;
}

static int query_control(struct v4l2_queryctrl *control) {
    static const struct v4l2_queryctrl all[] = {
        {V4L2_CID_BRIGHTNESS, V4L2_CTRL_TYPE_INTEGER, "Brightness", 0, 255, 1, 128, 0, {0}},
        {V4L2_CID_EXPOSURE_AUTO, V4L2_CTRL_TYPE_MENU, "Auto Exposure", 0, 1, 1, 1, 0, {0}},
        {V4L2_CID_EXPOSURE_ABSOLUTE, V4L2_CTRL_TYPE_INTEGER, "Exposure Time, Absolute", 10, 1000, 10, 100, 0, {0}},
    };
    uint32_t id = control->id & ~(V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND);
    for (unsigned index = 0; index < sizeof all / sizeof *all; index++)
        if (control->id & V4L2_CTRL_FLAG_NEXT_CTRL ? all[index].id > id : all[index].id == id) {
            *control = all[index];
            return 0;
        }
    return fail(EINVAL);
}

static int query_menu(struct v4l2_querymenu *menu) {
    if (menu->id != V4L2_CID_EXPOSURE_AUTO || menu->index > 1)
        return fail(EINVAL);
    snprintf((char *)menu->name, sizeof menu->name, "%s", menu->index ? "Aperture Priority Mode" : "Manual Mode");
    return 0;
}

#endif
