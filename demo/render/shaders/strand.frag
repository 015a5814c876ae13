#version 330
in vec3 room;
in vec3 left;
in vec3 right;
layout(location = 0) out vec4 seen_room;
layout(location = 1) out vec4 seen_left;
layout(location = 2) out vec4 seen_right;
void main()
{
    seen_room = vec4(room, 1.0);
    seen_left = vec4(left, 1.0);
    seen_right = vec4(right, 1.0);
}
