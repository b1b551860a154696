/**
 * The bell on another application's page, by one line:
 *
 *     <script type="module" src="…/assets/js/embed.js"></script>
 *     <hub-bell user="17" lang="ar"></hub-bell>
 *
 * and a live token for whoever is signed in there: see "The bell anywhere" in the README, and `web/embed.html`.
 *
 * @module embed
 */
export { HubBell } from "./bell.js";
