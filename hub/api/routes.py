"""Every address of the API, on one page."""

from __future__ import annotations

from starlette.routing import Mount, Route

from hub.api import appointments, health, notifications, staff

API = Mount(
    "/api/v1",
    routes=[
        Route("/notifications", notifications.list_, methods=["GET"]),
        Route("/notifications", notifications.send, methods=["POST"]),
        Route("/notifications/count", notifications.count, methods=["GET"]),
        Route("/notifications/read-all", notifications.read_all, methods=["POST"]),
        Route("/notifications/read", notifications.mark_as("read"), methods=["POST"]),
        Route("/notifications/unread", notifications.mark_as("unread"), methods=["POST"]),
        Route("/notifications/archive", notifications.mark_as("archive"), methods=["POST"]),
        Route("/notifications/{id:uuid}", notifications.show, methods=["GET"]),
        Route("/appointments", appointments.list_, methods=["GET"]),
        Route("/appointments", appointments.create, methods=["POST"]),
        Route("/appointments/{id:uuid}", appointments.show, methods=["GET"]),
        Route("/appointments/{id:uuid}/arrive", appointments.mark_arrived, methods=["POST"]),
        Route("/me", staff.show_me, methods=["GET"]),
        Route("/me/sign-out-everywhere", staff.sign_out_everywhere, methods=["POST"]),
        Route("/staff", staff.list_staff, methods=["GET"]),
        Route("/staff", staff.add_staff, methods=["POST"]),
        Route("/staff/{id:uuid}", staff.change_staff, methods=["PATCH"]),
        Route("/keys", staff.list_keys, methods=["GET"]),
        Route("/keys", staff.add_key, methods=["POST"]),
        Route("/keys/{id:uuid}", staff.revoke_key, methods=["DELETE"]),
        Route("/live-tokens", staff.make_live_token, methods=["POST"]),
    ],
)
HEALTH = [Route("/health/live", health.live), Route("/health/ready", health.ready)]
